/**
 * Answering one request for text, from its body to its response.
 *
 * @module
 */
import type { Context } from "hono";
import type { z } from "zod";
import { readJson } from "./body.ts";
import { ApiError, toApiError } from "./errors.ts";
import type { AnswerJob, Generation, GenerationObserver } from "./generation.ts";
import type { LogFields } from "./log.ts";
import { chatDialect } from "./openai/chat.ts";
import { completionDialect } from "./openai/completion.ts";
import type { Dialect, Ending, TokenText } from "./openai/dialect.ts";
import { completeWhole, type Responding, streamAnswers } from "./response.ts";
import { chatJobs, completionJobs, completionPrompts, type PromptModel } from "./prompts.ts";
import type { ChatRequest, CompletionRequest, GenerationRequest } from "./requests.ts";
import { chatRequest, checkRequest, completionRequest } from "./schema.ts";
import type { Admission, Server } from "./server.ts";

/** What a request carries along from the first middleware to the last. */
export interface RequestState {
  /** Names the request in logs and in its response. */
  readonly id: string;
  /** Tells keys apart; null without one. */
  readonly key: string | null;
  /** Settles when the response was sent, or cannot be sent any more. */
  readonly completed: Promise<void>;
  /** Writes the line about the request, once it is over. */
  readonly finish: (fields: LogFields) => void;
}

/** An endpoint: how its requests look, what they ask for, and how answers are written. */
interface Endpoint<R extends GenerationRequest> {
  readonly schema: z.ZodType<R>;
  readonly idPrefix: string;
  /** How many answers a request asks for. */
  answers(request: R): number;
  jobs(request: R, model: PromptModel, text: TokenText): {
    readonly jobs: readonly AnswerJob[];
    readonly dialect: Dialect;
  };
}

const chat: Endpoint<ChatRequest> = {
  schema: chatRequest,
  idPrefix: "chatcmpl-",
  answers: ({ n }) => n,
  jobs: (request, model, text) => ({
    jobs: chatJobs(request, model),
    dialect: chatDialect(request, text),
  }),
};

const completion: Endpoint<CompletionRequest> = {
  schema: completionRequest,
  idPrefix: "cmpl-",
  answers: ({ n, prompt }) =>
    n * (Array.isArray(prompt) && typeof prompt[0] !== "number" ? prompt.length : 1),
  jobs(request, model, text) {
    const prompts = completionPrompts(request, model.tokenizer);
    const prefixes = prompts.flatMap((ids) =>
      Array<string>(request.n).fill(request.echo ? textOf(ids, request, model) : "")
    );
    return {
      jobs: completionJobs(request, prompts, model),
      dialect: completionDialect(request, text, prefixes),
    };
  },
};

function textOf(ids: readonly number[], request: CompletionRequest, model: PromptModel): string {
  return model.tokenizer.decode(ids, { special: !request.skip_special_tokens });
}

/** `POST /v1/chat/completions`. */
export function answerChat(
  server: Server,
  context: Context,
  state: RequestState,
): Promise<Response> {
  return respond(server, chat, context, state);
}

/** `POST /v1/completions`. */
export function answerCompletion(
  server: Server,
  context: Context,
  state: RequestState,
): Promise<Response> {
  return respond(server, completion, context, state);
}

async function respond<R extends GenerationRequest>(
  server: Server,
  endpoint: Endpoint<R>,
  context: Context,
  state: RequestState,
): Promise<Response> {
  const begin = performance.now();
  const request = checkRequest(
    endpoint.schema,
    await readJson(context.req.raw, server.options.limits),
  );
  server.checkModel(request.model);
  const admission = server.admit(endpoint.answers(request), state.key);
  try {
    const text = tokenText(server);
    const { jobs, dialect } = endpoint.jobs(request, admission.model, text);
    const generation: Generation = {
      frame: frameOf(server, `${endpoint.idPrefix}${state.id}`),
      dialect,
      jobs,
      answersPerPrompt: request.n,
    };
    return await send(server, generation, request, { admission, context, state, begin });
  } catch (error) {
    admission[Symbol.dispose]();
    throw error;
  }
}

/** What belongs to one request while it is answered. */
interface Exchange {
  readonly admission: Admission;
  readonly context: Context;
  readonly state: RequestState;
  readonly begin: number;
}

/** What ends the answers to a client that is not there any more; 499 is nginx's status for it. */
const clientLeft = new ApiError("The client has left.", { status: 499 });

/** The response. The admission is given back when the last byte is made. */
function send(
  server: Server,
  generation: Generation,
  request: GenerationRequest,
  { admission, context, state, begin }: Exchange,
): Response | Promise<Response> {
  const { host, tokenizer, limits } = server.options;
  const counts = { tokens: 0, prompt: 0, reason: "" };
  const tools = { host, tokenizer, observer: watched(server.figures.request(), admission, counts) };
  const finish = (status: number, error: ApiError | null): void => {
    admission[Symbol.dispose]();
    state.finish({
      status,
      stream: request.stream === true,
      prompt_tokens: counts.prompt,
      completion_tokens: counts.tokens,
      finish_reason: error === clientLeft ? "disconnected" : counts.reason,
      answer_ms: Math.round(performance.now() - begin),
      ...(error === null ? {} : { error: error.message }),
    });
  };
  if (!request.stream) {
    const whole = completeWhole(generation, tools);
    admission.limit(whole.cut);
    return sendWhole(whole, context, state, finish);
  }
  const { response, cut, abandon } = streamAnswers(generation, tools, {
    ...limits,
    includeUsage: request.stream_options?.include_usage === true,
    onLost: () => cut(clientLeft),
    onEnd: (error) => finish(200, error),
  });
  admission.limit(cut);
  // The stream itself misses some clients that leave.
  state.completed.then(abandon, abandon);
  return response;
}

/** A response in one piece, unless the client leaves before. */
async function sendWhole(
  { response, cut }: Responding<Promise<object>>,
  { req: { raw: { signal } } }: Context,
  { completed }: RequestState,
  finish: (status: number, error: ApiError | null) => void,
): Promise<Response> {
  const lost = (): void => cut(clientLeft);
  signal.addEventListener("abort", lost, { once: true });
  if (signal.aborted) lost();
  completed.then(lost, lost);
  try {
    const body = await response;
    finish(200, null);
    return Response.json(body);
  } catch (error) {
    const known = toApiError(error);
    finish(known.status, known);
    throw error;
  }
}

/** Counts for the log, and tells the admission of the first token. */
function watched(
  observer: GenerationObserver,
  admission: Admission,
  counts: { tokens: number; prompt: number; reason: string },
): GenerationObserver {
  return {
    answer() {
      const answer = observer.answer();
      return {
        tokens(count) {
          admission.begun();
          counts.tokens += count;
          answer.tokens(count);
        },
        ended(ending: Ending) {
          counts.prompt += ending.promptTokens;
          counts.reason = ending.reason;
          answer.ended(ending);
        },
      };
    },
  };
}

function frameOf(server: Server, id: string): Generation["frame"] {
  const { description, options } = server;
  return {
    id,
    created: Math.floor(Date.now() / 1000),
    model: options.model,
    system_fingerprint: `denotron-${description!.dtype}-${description!.parameters}`,
  };
}

/** What tokens stand for, when they are told one by one. */
function tokenText({ options: { tokenizer } }: Server): TokenText {
  return {
    textOf: (id) => new TextDecoder().decode(tokenizer.bytesOf(id)),
    bytesOf: (id) => tokenizer.bytesOf(id),
  };
}
