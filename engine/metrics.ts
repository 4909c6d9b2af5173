/**
 * What an engine counts.
 *
 * @module
 */
import type { FinishReason } from "./request.ts";

/** How often values fell between bounds. */
export interface HistogramSnapshot {
  /** Upper bounds of all buckets but the last. */
  readonly bounds: readonly number[];
  /** Values up to each bound but above the one before, then those above all. */
  readonly counts: readonly number[];
  /** The sum of all values. */
  readonly sum: number;
  /** How many values. */
  readonly count: number;
}

/** Counts values between bounds. */
export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  /** No values yet. `bounds` increase. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  /** Counts a value. */
  add(value: number): void {
    let at = 0;
    while (at < this.#bounds.length && !(value <= this.#bounds[at])) at++;
    this.#counts[at]++;
    this.#sum += value;
  }

  /** The counts so far. */
  snapshot(): HistogramSnapshot {
    const count = this.#counts.reduce((a, b) => a + b, 0);
    return { bounds: this.#bounds, counts: this.#counts.slice(), sum: this.#sum, count };
  }
}

const seconds = [
  ...[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5],
  ...[0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560],
];
const tokenCounts = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000];
const choices = [1, 2, 5, 10, 20];

/** Counters and histograms of an engine, in the terms that vLLM's dashboards use. */
export class EngineMetrics {
  /** Prompt tokens that were computed or reused. */
  promptTokens = 0;
  /** Tokens that were generated. */
  generationTokens = 0;
  /** Prompt tokens that were looked up among computed ones. */
  prefixQueries = 0;
  /** Prompt tokens that were found there. */
  prefixHits = 0;
  /** Times that a sequence lost its blocks. */
  preemptions = 0;
  /** Forward passes. */
  steps = 0;
  /** Choices by why they ended. */
  readonly finished: Record<FinishReason, number> = { stop: 0, length: 0, abort: 0, error: 0 };
  /** Seconds from arrival to the first token. */
  readonly timeToFirstToken: Histogram = new Histogram(seconds);
  /** Seconds from token to token. */
  readonly interTokenLatency: Histogram = new Histogram(seconds);
  /** Seconds from arrival to the end. */
  readonly endToEnd: Histogram = new Histogram(seconds);
  /** Seconds from arrival until it first ran. */
  readonly queueTime: Histogram = new Histogram(seconds);
  /** Seconds from when it first ran to the first token. */
  readonly prefillTime: Histogram = new Histogram(seconds);
  /** Seconds from the first token to the end. */
  readonly decodeTime: Histogram = new Histogram(seconds);
  /** Seconds from when it first ran to the end. */
  readonly inferenceTime: Histogram = new Histogram(seconds);
  /** Tokens of prompts. */
  readonly requestPromptTokens: Histogram = new Histogram(tokenCounts);
  /** Tokens generated for a choice. */
  readonly requestGenerationTokens: Histogram = new Histogram(tokenCounts);
  /** Tokens of a forward pass. */
  readonly iterationTokens: Histogram = new Histogram(tokenCounts);
  /** Choices of a request. */
  readonly requestN: Histogram = new Histogram(choices);
  /** The most tokens a request allows. */
  readonly requestMaxTokens: Histogram = new Histogram(tokenCounts);
}

/** What an engine does now and has done so far. */
export interface MetricsSnapshot {
  /** Sequences that run. */
  readonly running: number;
  /** Sequences that wait. */
  readonly waiting: number;
  /** Blocks that sequences hold. */
  readonly kvBlocksUsed: number;
  /** Blocks there are. */
  readonly kvBlocks: number;
  /** Tokens of a block. */
  readonly blockTokens: number;
  /** Bytes of the key-value memory. */
  readonly kvBytes: number;
  /** Steps that were replayed rather than computed anew. */
  readonly replayedSteps: number;
  /** Version of the weights. */
  readonly weightVersion: number;
  /** Seconds that the last refresh of the weights took. */
  readonly refreshSeconds: number;
  /** Counters, by name. */
  readonly counters: Readonly<
    Record<
      | "promptTokens"
      | "generationTokens"
      | "prefixQueries"
      | "prefixHits"
      | "preemptions"
      | "steps",
      number
    >
  >;
  /** Choices by why they ended. */
  readonly finished: Readonly<Record<FinishReason, number>>;
  /** Histograms, by name. */
  readonly histograms: Readonly<Record<string, HistogramSnapshot>>;
}

/** The histograms of an engine, by name. */
export function histogramsOf(metrics: EngineMetrics): Record<string, HistogramSnapshot> {
  const histograms: Record<string, HistogramSnapshot> = {};
  for (const [name, value] of Object.entries(metrics)) {
    if (value instanceof Histogram) histograms[name] = value.snapshot();
  }
  return histograms;
}
