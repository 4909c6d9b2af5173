/**
 * A request on its way: its choices, and the events that its caller reads.
 *
 * @module
 */
import type {
  Completion,
  FinishEvent,
  GenerationEvent,
  GenerationRequestOptions,
  TokenEvent,
  TokenLogProb,
  TokenWatcher,
} from "./request.ts";
import { TokenSampler } from "./sampler.ts";
import { Sequence } from "./sequence.ts";

/** One of the texts that a request asks for. */
export class Choice {
  /** Its tokens, and how far they are computed. */
  readonly sequence: Sequence;
  /** How it is drawn. */
  readonly sampler: TokenSampler;
  /** What looks at its tokens. */
  readonly watch: TokenWatcher | null;
  /** Of each generated token. */
  readonly logProbs: number[] = [];
  /** Of each generated token. */
  readonly top: (readonly TokenLogProb[])[] = [];
  /** How it ended; null while it goes on. */
  end: FinishEvent | null = null;
  /** When it first ran, had its first token and its last one; milliseconds. */
  started: number | null = null;
  first: number | null = null;
  last: number | null = null;

  /** Choice `number` of a request. */
  constructor(readonly request: Generation, readonly number: number) {
    const { prompt, priority = 0, watch } = request.options;
    this.sequence = new Sequence(prompt, { priority });
    this.sampler = new TokenSampler(prompt, request.options, number);
    this.watch = watch?.(number) ?? null;
  }

  /** As it is now; once ended, as it will always be. */
  completion(): Completion {
    const { sequence, logProbs, top, end, number } = this;
    return {
      choice: number,
      ids: sequence.tokens.slice(sequence.promptLength),
      logProbs,
      top,
      reason: end?.reason ?? "length",
      ...(end?.stopId === undefined ? {} : { stopId: end.stopId }),
      ...(end?.error === undefined ? {} : { error: end.error }),
    };
  }
}

/** A request that the engine works on. Iterate over it for its events; that also makes the engine run. */
export class Generation implements AsyncIterable<GenerationEvent> {
  /** Number of the request, from 1. */
  readonly id: number;
  /** What was asked for. */
  readonly options: GenerationRequestOptions;
  /** When it was added, milliseconds. */
  readonly arrived: number;
  /** The texts it asks for. */
  readonly choices: readonly Choice[];
  readonly #run: () => void;
  #events: GenerationEvent[] = [];
  #wake: (() => void) | null = null;

  /** A request that was not looked at yet; `run` makes the engine work. */
  constructor(id: number, options: GenerationRequestOptions, arrived: number, run: () => void) {
    [this.id, this.options, this.arrived, this.#run] = [id, options, arrived, run];
    this.choices = Array.from({ length: options.n ?? 1 }, (_, i) => new Choice(this, i));
  }

  /** Whether all choices ended. */
  get done(): boolean {
    return this.choices.every(({ end }) => end !== null);
  }

  /** Prompt tokens that did not need to be computed. */
  get reusedTokens(): number {
    return this.choices[0].sequence.reused;
  }

  /** The choices as they are now. */
  get completions(): Completion[] {
    return this.choices.map((choice) => choice.completion());
  }

  /** Tells the caller. */
  push(event: TokenEvent | FinishEvent): void {
    this.#events.push(event);
    this.#wake?.();
  }

  /** Waits until all choices ended. */
  async wait(): Promise<Completion[]> {
    for await (const _ of this);
    return this.completions;
  }

  /** The events so far, then those to come, each to one reader. */
  async *[Symbol.asyncIterator](): AsyncGenerator<GenerationEvent, void> {
    while (true) {
      const events = this.#events;
      this.#events = [];
      yield* events;
      if (this.#events.length > 0) continue;
      if (this.done) return;
      this.#run();
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = null;
    }
  }
}
