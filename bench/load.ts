/**
 * Clients of an inference server: they ask, read the stream, and note when things came.
 *
 * @module
 */
import { RandomKey } from "../tensor/mod.ts";

/** What clients ask for, and how often. */
export interface LoadOptions {
  /** Such as `http://127.0.0.1:8000`. */
  readonly url: string;
  /** Requests in all. */
  readonly requests: number;
  /** Closed loop: so many clients, each of which asks again when it has its answer. */
  readonly clients: number;
  /** Open loop instead: requests come at random, so many a second, whether or not others are answered. */
  readonly rate?: number;
  /** New tokens of each answer. */
  readonly maxTokens: number;
  /** What request number `i` asks. */
  prompt(i: number): string;
}

/** What one request saw; times in ms. */
export interface Sample {
  readonly status: number;
  /** From the request to the first token. */
  readonly firstMs: number;
  /** The part of it that the engine says it took. */
  readonly engineFirstMs: number;
  /** From each token to the next. */
  readonly betweenMs: readonly number[];
  readonly totalMs: number;
  readonly tokens: number;
}

/** Runs the load; returns what each request saw, and for how long all of it took. */
export async function load(options: LoadOptions): Promise<{ samples: Sample[]; seconds: number }> {
  const start = performance.now();
  const samples = await (options.rate === undefined ? closedLoop(options) : openLoop(options));
  return { samples, seconds: (performance.now() - start) / 1000 };
}

async function closedLoop(options: LoadOptions): Promise<Sample[]> {
  const samples: Sample[] = [];
  let next = 0;
  await Promise.all(Array.from({ length: options.clients }, async () => {
    while (next < options.requests) samples.push(await ask(options, next++));
  }));
  return samples;
}

/** Poisson arrivals: the time to the next request is exponential. */
async function openLoop(options: LoadOptions): Promise<Sample[]> {
  const key = new RandomKey(0).derive("arrivals"), running: Promise<Sample>[] = [];
  const start = performance.now();
  let due = 0;
  for (let i = 0; i < options.requests; i++) {
    due += -Math.log(1 - key.uniform(i)) * 1000 / options.rate!;
    const wait = start + due - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    running.push(ask(options, i));
  }
  return await Promise.all(running);
}

async function ask({ url, maxTokens, prompt }: LoadOptions, i: number): Promise<Sample> {
  const start = performance.now();
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      prompt: prompt(i),
      max_tokens: maxTokens,
      ignore_eos: true,
      seed: i,
      stream: true,
    }),
  });
  let first = NaN, last = start, tokens = 0, engineFirstMs = NaN;
  const betweenMs: number[] = [];
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const now = performance.now();
    const lines = (pending + part.value).split("\n");
    pending = lines.pop()!;
    for (const line of lines) {
      if (!line.startsWith("data: {")) continue;
      const { choices, timings } = JSON.parse(line.slice(6)) as StreamEvent;
      if (timings) {
        engineFirstMs = timings.queue_ms + timings.prompt_ms;
        tokens = timings.predicted_n;
      } else if (choices?.[0]?.text) {
        if (Number.isNaN(first)) first = now;
        else betweenMs.push(now - last);
        last = now;
      }
    }
  }
  const totalMs = performance.now() - start;
  return {
    status: response.status,
    firstMs: first - start,
    engineFirstMs,
    betweenMs,
    totalMs,
    tokens,
  };
}

/** What is read of an event. */
interface StreamEvent {
  readonly choices?: readonly { readonly text: string }[];
  readonly timings?: {
    readonly queue_ms: number;
    readonly prompt_ms: number;
    readonly predicted_n: number;
  };
}

/** The value below which a share of all values lies; NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).toSorted((a, b) => a - b);
  return sorted.length === 0 ? NaN : sorted[Math.ceil(share * sorted.length) - 1] ?? sorted[0];
}
