/**
 * A request on its way: its choices, and the events that its caller reads.
 *
 * @module
 */
import type {
  Completion,
  FinishEvent,
  Generation,
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
  /** Of each generated token, where they are asked for. */
  readonly logProbs: number[] = [];
  /** Of each generated token. */
  readonly top: (readonly TokenLogProb[])[] = [];
  /** How it ended; null while it goes on. */
  end: FinishEvent | null = null;
  /** When it first ran, milliseconds. */
  started: number | null = null;
  /** When it had its first token. */
  first: number | null = null;
  /** When it had its last token. */
  last: number | null = null;

  /** Choice `number` of a request. */
  constructor(readonly request: ActiveGeneration, readonly number: number) {
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

/** A request with what the engine knows about it. */
export class ActiveGeneration implements Generation {
  readonly id: number;
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

  get done(): boolean {
    return this.choices.every(({ end }) => end !== null);
  }

  get reusedTokens(): number {
    return this.choices[0].sequence.reused;
  }

  get queueMs(): number {
    return (this.choices[0].started ?? this.arrived) - this.arrived;
  }

  get completions(): Completion[] {
    return this.choices.map((choice) => choice.completion());
  }

  /** Tells the caller. */
  push(event: TokenEvent | FinishEvent): void {
    this.#events.push(event);
    this.#wake?.();
  }

  async wait(): Promise<Completion[]> {
    for await (const _ of this);
    return this.completions;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<GenerationEvent, void> {
    while (true) {
      const events = this.#events;
      this.#events = [];
      yield* events;
      if (this.#events.length > 0) continue;
      if (this.done) return;
      const woken = new Promise<void>((resolve) => this.#wake = resolve);
      this.#run();
      await woken;
      this.#wake = null;
    }
  }
}
