/**
 * An inference server that clients of OpenAI's API can talk to, over the engine.
 *
 * @example Serve a model until Ctrl-C
 * ```ts ignore
 * import { defaultLimits, EngineHost, jsonLog, listen } from "@denotron/denotron/serve";
 * import { Tokenizer } from "@denotron/denotron/text";
 *
 * const tokenizer = await Tokenizer.load("./model");
 * await using host = new EngineHost({
 *   model: "./model",
 *   vocabularySize: tokenizer.vocabularySize,
 *   maxRunning: 64,
 *   maxRequests: 512,
 * });
 * const log = jsonLog((line) => console.error(line));
 * const { url, shutdown } = await listen(
 *   { model: "mine", tokenizer, host, keys: [], origins: [], limits: defaultLimits, log },
 *   { port: 8000 },
 * );
 * Deno.addSignalListener("SIGINT", () => shutdown(10_000));
 * console.log(url);
 * ```
 *
 * @module
 */
export { EngineDeadError, EngineHost } from "./engine_host.ts";
export { ApiError, type ApiErrorOptions, type ApiErrorType, type ErrorBody } from "./errors.ts";
export type { EngineEvent, EngineResult, EngineRun } from "./engine_run.ts";
export { defaultLimits, type ServerLimits } from "./limits.ts";
export { listen, type ListeningServer, type ListenOptions } from "./listen.ts";
export { jsonLog, type Log, type LogFields, type LogLevel } from "./log.ts";
export type {
  EngineDescription,
  EngineFigures,
  EngineRequest,
  EngineSource,
  EngineStart,
  EngineTokens,
} from "./protocol.ts";
export type { AnswerToken } from "./answer.ts";
export type { PromptModel } from "./prompts.ts";
export type { FinishReason } from "./openai/dialect.ts";
export { ServerFigures } from "./figures.ts";
export type { AnswerObserver, GenerationObserver } from "./generation.ts";
export type { AnswerTimes, Ending } from "./openai/dialect.ts";

export { type Admission, Server, type ServerOptions, type ServerState } from "./server.ts";
export { ApiKeys, parseKeys } from "./keys.ts";
