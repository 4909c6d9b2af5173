/**
 * Answers to one request: each prompt goes to the engine, its tokens become text, and the text goes out in the endpoint's
 * dialect, whole or piece by piece.
 *
 * @module
 */
import type { Tokenizer } from "../text/mod.ts";
import { type AnswerDelta, type AnswerOptions, AnswerText } from "./answer.ts";
import type { EngineHost } from "./engine_host.ts";
import { cutResult, type EngineResult } from "./engine_run.ts";
import { type ApiError, toApiError } from "./errors.ts";
import { ClientLostError, EventStream, type EventStreamOptions } from "./event_stream.ts";
import {
  type AnswerTimes,
  type Dialect,
  type Ending,
  type Frame,
  timingsOf,
  usageOf,
} from "./openai/dialect.ts";
import type { EngineRequest, EngineStart, EngineTokens } from "./protocol.ts";

/** One answer that is asked for. */
export interface AnswerJob {
  /** What the engine is to do. */
  readonly request: EngineRequest;
  /** How its tokens become text. */
  readonly text: AnswerOptions;
}

/** All answers to a request, and how they are written. */
export interface Generation {
  /** What all responses to the request have. */
  readonly frame: Frame;
  /** How answers are written. */
  readonly dialect: Dialect;
  /** The answers, those to the same prompt side by side. */
  readonly jobs: readonly AnswerJob[];
  /** How many answers each prompt has. */
  readonly answersPerPrompt: number;
}

/** What happens to one answer on the way. */
export interface AnswerObserver {
  /** Tokens have come. */
  tokens(count: number): void;
  /** It is complete. */
  ended(ending: Ending): void;
}

/** What happens to a request on the way, for figures. */
export interface GenerationObserver {
  /** Follows one of its answers. */
  answer(): AnswerObserver;
}

/** What answers are made with. */
export interface GenerationTools {
  readonly host: EngineHost;
  readonly tokenizer: Tokenizer;
  readonly observer: GenerationObserver;
  /** Ends everything: the client has left, or time is up. Its reason is the error to answer with. */
  readonly signal: AbortSignal;
}

/** The deltas of an answer as they become certain, then how it ended. */
async function* answer(
  { request, text }: AnswerJob,
  { host, tokenizer, observer, signal }: GenerationTools,
): AsyncGenerator<AnswerDelta, Ending> {
  const making = new AnswerText(tokenizer, text);
  const run = host.run(request, signal);
  const times = new AnswerClock(), observed = observer.answer();
  let result: EngineResult = cutResult(null);
  for await (const event of run) {
    if (event.kind === "end") result = event;
    else {
      times.take(event);
      observed.tokens(event.tokens.length);
      for (const token of event.tokens) {
        if (making.stop === null) yield making.push(token);
      }
      if (making.stop !== null) run.cancel();
    }
  }
  yield making.finish();
  if (result.error !== null) throw result.error;
  const ending: Ending = {
    reason: making.stop === null ? result.reason : "stop",
    stop: making.stop ?? result.stop,
    tokens: making.count,
    reasoningTokens: making.reasoningTokens,
    promptTokens: request.prompt.length,
    cachedTokens: times.cachedTokens,
    times: times.times,
  };
  observed.ended(ending);
  return ending;
}

/** When the engine had what, from what comes with its tokens. */
class AnswerClock {
  #start: EngineStart = { queueMs: 0, cachedTokens: 0 };
  #firstMs = 0;
  #lastMs = 0;

  take({ atMs, start }: EngineTokens): void {
    if (start) [this.#start, this.#firstMs] = [start, atMs];
    this.#lastMs = atMs;
  }

  get cachedTokens(): number {
    return this.#start.cachedTokens;
  }

  get times(): AnswerTimes {
    const { queueMs } = this.#start, first = this.#firstMs;
    return { queueMs, promptMs: first - queueMs, predictedMs: this.#lastMs - first };
  }
}

/** The body of a response that is not streamed. Throws ApiError. */
export async function completeWhole(
  { frame, dialect, jobs, answersPerPrompt }: Generation,
  tools: GenerationTools,
): Promise<object> {
  const answers = await inParallel(jobs, tools, async (job, tools) => {
    const whole = { reasoning: "", content: "", tokens: [] as AnswerDelta["tokens"][number][] };
    const deltas = answer(job, tools);
    for (let next = await deltas.next();; next = await deltas.next()) {
      if (next.done) return { ...whole, ending: next.value };
      whole.reasoning += next.value.reasoning;
      whole.content += next.value.content;
      whole.tokens.push(...next.value.tokens);
    }
  });
  const endings = answers.map(({ ending }) => ending);
  return {
    ...frame,
    object: dialect.objects.whole,
    choices: answers.map((whole, index) => dialect.whole(index, whole)),
    usage: usageOf(endings, answersPerPrompt),
    ...(endings.length === 1 ? { timings: timingsOf(endings[0]) } : {}),
  };
}

/** How a response is streamed. */
export interface StreamOptions extends Omit<EventStreamOptions, "onLost"> {
  /** Whether a last chunk counts the tokens. */
  readonly includeUsage: boolean;
  /** Aborts when the client is known to have left. */
  readonly left: AbortSignal;
  /** The client has left, or takes nothing. */
  readonly onLost: () => void;
  /** All is over; with the error that ended it, if one did. */
  readonly onEnd: (error: ApiError | null) => void;
}

/** A streamed response. It begins at once; what goes wrong from then on is an event of its own. */
export function streamAnswers(
  generation: Generation,
  tools: GenerationTools,
  options: StreamOptions,
): Response {
  const stream = new EventStream(options);
  options.left.addEventListener("abort", () => stream.abandon(), { once: true });
  sendAnswers(generation, tools, options, stream)
    .then(() => null, async (error) => {
      const known = toApiError(error);
      if (!(error instanceof ClientLostError)) await stream.send(known.body).catch(() => {});
      return known;
    })
    .then(async (error) => {
      await stream.end();
      options.onEnd(error);
    });
  return stream.response;
}

async function sendAnswers(
  { frame, dialect, jobs, answersPerPrompt }: Generation,
  tools: GenerationTools,
  { includeUsage }: StreamOptions,
  stream: EventStream,
): Promise<void> {
  const send = (choices: readonly object[], more: object = {}): Promise<void> =>
    stream.send({
      ...frame,
      object: dialect.objects.chunk,
      choices,
      ...(includeUsage ? { usage: null } : {}),
      ...more,
    });
  const endings = await inParallel(jobs, tools, async (job, tools, index) => {
    const first = dialect.begin(index);
    if (first !== null) await send([first]);
    const deltas = answer(job, tools);
    for (let next = await deltas.next();; next = await deltas.next()) {
      if (next.done) {
        const timings = jobs.length === 1 ? { timings: timingsOf(next.value) } : {};
        await send([dialect.end(index, next.value)], timings);
        return next.value;
      }
      const { reasoning, content, tokens } = next.value;
      if (reasoning + content !== "" || tokens.length > 0) {
        await send([dialect.delta(index, next.value)]);
      }
    }
  });
  if (includeUsage) await send([], { usage: usageOf(endings, answersPerPrompt) });
}

/** All answers at once. When one fails, the others end too, and its error is thrown. */
async function inParallel<T>(
  jobs: readonly AnswerJob[],
  tools: GenerationTools,
  run: (job: AnswerJob, tools: GenerationTools, index: number) => Promise<T>,
): Promise<T[]> {
  const failure = new AbortController();
  const signal = AbortSignal.any([tools.signal, failure.signal]);
  const all = jobs.map((job, index) =>
    run(job, { ...tools, signal }, index).catch((error) => {
      failure.abort(error);
      throw error;
    })
  );
  const results = await Promise.allSettled(all);
  if (failure.signal.aborted) throw failure.signal.reason;
  return results.map((result) => (result as PromiseFulfilledResult<T>).value);
}
