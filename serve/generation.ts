/**
 * Answers to one request: each prompt goes to the engine, and its tokens become text.
 *
 * No promises between a token and its text: with many streams, turns of the event loop are what first tokens wait for.
 *
 * @module
 */
import type { Tokenizer } from "../text/mod.ts";
import { type AnswerDelta, type AnswerOptions, AnswerText } from "./answer.ts";
import type { EngineHost } from "./engine_host.ts";
import type { EngineEvent, EngineResult, EngineRun } from "./engine_run.ts";
import type { AnswerTimes, Dialect, Ending, Frame } from "./openai/dialect.ts";
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
}

/** Where answers go. */
export interface AnswerSink {
  /** Whether there is room for more; when there is again, `Answers.resume()` is called. */
  readonly hasRoom: boolean;
  /** More of answer number `index` has become certain. */
  delta(index: number, delta: AnswerDelta): void;
  /** It is complete. */
  ended(index: number, ending: Ending): void;
  /** All of them are complete, or have ended with an error. */
  over(endings: readonly Ending[], error: Error | null): void;
}

/** All answers to a request, on their way. When one fails the others end too, and its error is told. */
export class Answers {
  readonly #answers: readonly Answer[];
  readonly #sink: AnswerSink;
  readonly #endings: Ending[] = [];
  #left: number;
  #error: Error | null = null;

  /** The engine begins. Nothing is told before the next turn of the event loop. */
  constructor({ jobs }: Generation, tools: GenerationTools, sink: AnswerSink) {
    this.#sink = sink;
    this.#left = jobs.length;
    this.#answers = jobs.map((job, index) =>
      new Answer(job, tools, {
        hasRoom: () => sink.hasRoom,
        delta: (delta) => sink.delta(index, delta),
        over: (outcome) => this.#over(index, outcome),
      })
    );
  }

  /** The sink has room again. */
  resume(): void {
    for (const answer of this.#answers) answer.resume();
  }

  /** Ends all answers, with the error to answer with. */
  cut(error: Error): void {
    for (const answer of this.#answers) answer.cut(error);
  }

  #over(index: number, outcome: Ending | Error): void {
    this.#left--;
    if (outcome instanceof Error) {
      const first = this.#error === null;
      this.#error ??= outcome;
      if (first) this.cut(outcome);
    } else {
      this.#endings[index] = outcome;
      this.#sink.ended(index, outcome);
    }
    if (this.#left === 0) this.#sink.over(this.#endings, this.#error);
  }
}

/** Whom an answer tells. */
interface AnswerListener {
  hasRoom(): boolean;
  delta(delta: AnswerDelta): void;
  over(outcome: Ending | Error): void;
}

/** One answer. Tokens that the listener has no room for wait here; there are at most as many as were asked for. */
class Answer {
  readonly #promptTokens: number;
  readonly #text: AnswerText;
  readonly #observed: AnswerObserver;
  readonly #listener: AnswerListener;
  readonly #run: EngineRun;
  readonly #clock = new AnswerClock();
  #waiting: EngineEvent[] = [];
  #over = false;

  constructor({ request, text }: AnswerJob, tools: GenerationTools, listener: AnswerListener) {
    this.#promptTokens = request.prompt.length;
    this.#text = new AnswerText(tools.tokenizer, text);
    this.#observed = tools.observer.answer();
    this.#listener = listener;
    this.#run = tools.host.run(request, (event) => {
      this.#waiting.push(event);
      this.resume();
    });
  }

  /** Goes on with what waits, as far as there is room. */
  resume(): void {
    try {
      while (this.#waiting.length > 0 && this.#listener.hasRoom()) {
        this.#take(this.#waiting.shift()!);
      }
    } catch (error) {
      this.#waiting = [];
      this.#run.cancel(null);
      this.#conclude(error as Error);
    }
  }

  /** The engine ends it, with the error to answer with. One that is complete, and only waits for room, ends at once. */
  cut(error: Error): void {
    this.#run.cancel(error);
    if (this.#waiting.at(-1)?.kind !== "end") return;
    this.#waiting = [];
    this.#conclude(error);
  }

  #take(event: EngineEvent): void {
    if (this.#over) return;
    if (event.kind === "end") return this.#end(event);
    this.#clock.take(event);
    this.#observed.tokens(event.tokens.length);
    this.#listener.delta(this.#text.push(event.tokens));
    if (this.#text.stop !== null) this.#run.cancel(null);
  }

  #end({ reason, stop, error }: EngineResult): void {
    const text = this.#text;
    this.#listener.delta(text.finish());
    if (error !== null) return this.#conclude(error);
    const ending: Ending = {
      reason: text.stop === null ? reason : "stop",
      stop: text.stop ?? stop,
      tokens: text.count,
      reasoningTokens: text.reasoningTokens,
      promptTokens: this.#promptTokens,
      cachedTokens: this.#clock.cachedTokens,
      times: this.#clock.times,
    };
    this.#observed.ended(ending);
    this.#conclude(ending);
  }

  /** Nothing that the engine may still tell counts. */
  #conclude(outcome: Ending | Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#listener.over(outcome);
  }
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
