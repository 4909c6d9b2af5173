/**
 * `deno task serve`: an inference server with OpenAI's API, and a chat page.
 *
 * @module
 */
import { basename } from "node:path";
import { openCheckpoint } from "../nn/mod.ts";
import {
  defaultLimits,
  EngineHost,
  jsonLog,
  listen,
  type ListeningServer,
  parseKeys,
  type ServerLimits,
} from "../serve/mod.ts";
import { runCommand } from "./command.ts";
import { failed, succeeded, UsageError } from "./errors.ts";
import { locateModel } from "./locate.ts";
import { modelOptions, openTokenizer } from "./model.ts";
import {
  bytes,
  type Command,
  flag,
  integer,
  number,
  path,
  text,
  texts,
  type Values,
} from "./options.ts";
import { formatBytes } from "./progress.ts";
import { systemTerminal, type Terminal } from "./terminal.ts";

const options = {
  ...modelOptions,
  host: text("ADDRESS", "Address to listen on (default 127.0.0.1)"),
  port: integer("N", "Port to listen on; 0 takes any free one", {
    min: 0,
    max: 65535,
    fallback: 8000,
  }),
  apiKey: texts("KEY", "A key that clients must send; may be given more than once"),
  apiKeyFile: path("FILE", "A file of keys, one a line"),
  open: flag("Let other machines ask without a key"),
  name: text("NAME", "What clients call the model (default: the model's folder)"),
  origin: texts("URL", "Web pages of this origin may ask; may be given more than once"),
  maxRunning: integer("N", "Answers computed together", { min: 1, max: 4096, fallback: 64 }),
  maxRequests: integer("N", "Answers made or waiting at once; more are told to come back", {
    min: 1,
    fallback: defaultLimits.maxRequests,
  }),
  maxPerKey: integer("N", "Requests of one key at once", {
    min: 1,
    fallback: defaultLimits.maxRequestsPerKey,
  }),
  kvMemory: bytes("SIZE", "Memory for keys and values (default: a quarter of what is free)"),
  maxBody: bytes("SIZE", "Longest request (default 4MiB)"),
  requestTimeout: seconds("An answer must be complete after so many seconds", "requestTimeoutMs"),
  queueTimeout: seconds("Its first token must have come after so many seconds", "queueTimeoutMs"),
  shutdownTimeout: number("SECONDS", "How long Ctrl-C or SIGTERM waits for answers", {
    min: 0,
    fallback: 30,
  }),
};

const command: Command<typeof options> = {
  name: "serve",
  summary: "An inference server with OpenAI's API, and a chat page.",
  options,
  examples: [
    "--model ./model",
    "--model ./model --host 0.0.0.0 --api-key secret --max-requests 200",
    "--model model.gguf --port 0",
  ],
  notes: [
    "The page is at /, the API at /v1, figures at /metrics, its description at /openapi.json.",
    "Keys may also stand in the variable DENOTRON_API_KEY.",
    "Ctrl-C or SIGTERM lets running answers finish; the second one ends at once.",
  ],
};

function seconds(
  help: string,
  limit: "requestTimeoutMs" | "queueTimeoutMs",
): ReturnType<typeof number<number>> {
  return number("SECONDS", help, { min: 1, fallback: defaultLimits[limit] / 1000 });
}

/** Runs the command; returns its exit code. */
export function main(args: readonly string[], terminal: Terminal): Promise<number> {
  return runCommand(command, args, terminal, async (values) => {
    const keys = keysOf(values), hostname = values.host ?? "127.0.0.1";
    if (!isLoopback(hostname) && keys.length === 0 && !values.open) {
      throw new UsageError(
        `serve: other machines can reach ${hostname}, and there is no key. Add --api-key KEY, or --open.`,
      );
    }
    const place = await locateModel(values.model, terminal);
    using source = openCheckpoint(place);
    const tokenizer = await openTokenizer(place, source, values.tokenizer);
    const stored = source.entries.get("embedding.weight")?.dtype;
    const dtype = values.dtype ?? (stored === "bf16" ? "bf16" : "f32");
    const name = values.name ?? basename(place);
    await using host = new EngineHost({
      model: place,
      dtype,
      maxRunning: values.maxRunning,
      maxRequests: values.maxRequests,
      vocabularySize: tokenizer.vocabularySize,
      ...(values.threads === undefined ? {} : { threads: values.threads }),
      ...(values.kvMemory === undefined ? {} : { kvBytes: values.kvMemory }),
    });
    const log = jsonLog((line) => terminal.report(line));
    const listening = await listen(
      { model: name, tokenizer, host, keys, origins: values.origin, limits: limitsOf(values), log },
      { hostname, port: values.port },
    ).catch((error) => {
      throw isTaken(error) ? portTaken(hostname, values.port) : error;
    });
    return await serveUntilToldToStop(listening, host, values, terminal);
  });
}

/** Says where it listens and what fits, and ends when a signal, or a model that cannot be loaded, ends it. */
async function serveUntilToldToStop(
  { url, server, shutdown }: ListeningServer,
  host: EngineHost,
  { shutdownTimeout }: Values<typeof options>,
  terminal: Terminal,
): Promise<number> {
  const stop = Promise.withResolvers<"signal" | Error>();
  const untold = onSignals(() => stop.resolve("signal"));
  terminal.report(`serve: ${server.options.model} is being loaded, ${url} listens\n`);
  host.ready.then(({ kvTokens, context, parameters, dtype, device }) => {
    terminal.report(
      `serve: ready. ${(parameters / 1e6).toFixed(1)} M parameters in ${dtype} on ${device}; ` +
        `${kvTokens} tokens fit, at most ${context} a sequence; ` +
        `${server.keys.count === 0 ? "no key is needed" : `${server.keys.count} keys`}; ` +
        `bodies up to ${formatBytes(server.options.limits.maxBodyBytes)}\n`,
    );
    // For programs that wait for it: the one line on stdout.
    terminal.write(`${url}\n`);
  }, (error) => stop.resolve(error));
  const reason = await stop.promise;
  if (reason === "signal") terminal.report("serve: no new requests, waiting for answers\n");
  const finished = await shutdown(reason === "signal" ? 1000 * shutdownTimeout : 0);
  untold();
  if (reason !== "signal") throw reason;
  terminal.report(finished ? "serve: all answers are complete\n" : "serve: answers were cut off\n");
  return succeeded;
}

/** Calls `stop` at the first signal; the second ends the program. Returns what undoes that. */
function onSignals(stop: () => void): () => void {
  let told = false;
  const take = (): void => {
    if (told) Deno.exit(failed);
    told = true;
    stop();
  };
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, take);
  return () => {
    for (const signal of signals) Deno.removeSignalListener(signal, take);
  };
}

function isTaken(error: unknown): boolean {
  return error instanceof Deno.errors.AddrInUse || error instanceof Deno.errors.AddrNotAvailable;
}

function portTaken(hostname: string, port: number): UsageError {
  return new UsageError(
    `serve: ${hostname}:${port} is taken, or not of this machine. Choose another --port (0 for any) or --host.`,
  );
}

function keysOf({ apiKey, apiKeyFile }: Values<typeof options>): string[] {
  const variable = Deno.env.get("DENOTRON_API_KEY");
  const stored = apiKeyFile === undefined ? [] : parseKeys(Deno.readTextFileSync(apiKeyFile));
  if (apiKeyFile !== undefined && stored.length === 0) {
    throw new UsageError(`serve: there is no key in ${apiKeyFile}. Write one on each line.`);
  }
  return [...apiKey, ...stored, ...(variable ? [variable] : [])];
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "::1" || hostname.startsWith("127.");
}

function limitsOf(values: Values<typeof options>): ServerLimits {
  return {
    ...defaultLimits,
    maxBodyBytes: values.maxBody ?? defaultLimits.maxBodyBytes,
    maxRequests: values.maxRequests,
    maxRequestsPerKey: values.maxPerKey,
    requestTimeoutMs: 1000 * values.requestTimeout,
    queueTimeoutMs: 1000 * values.queueTimeout,
  };
}

if (import.meta.main) Deno.exit(await main(Deno.args, systemTerminal()));
