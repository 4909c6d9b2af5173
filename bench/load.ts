/**
 * Clients of an inference server: they ask, take the stream, and afterwards look at when what came.
 *
 * @module
 */
import { RandomKey } from "../tensor/mod.ts";
import {
  type BodyPart,
  type Exchange,
  HttpConnection,
  postBytes,
  readResponse,
} from "./http_client.ts";

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
  /** New tokens of an answer, on average: they are from half to one and a half times as long. */
  readonly maxTokens: number;
  /** What request number `i` asks. */
  prompt(i: number): string;
}

/** What one request saw; times in ms. */
export interface Sample {
  readonly status: number;
  /** When it was sent. */
  readonly sentMs: number;
  /** From the request to the first token. */
  readonly firstMs: number;
  /** The part of it that the engine took. */
  readonly engineFirstMs: number;
  /** From each token to the next. */
  readonly betweenMs: readonly number[];
  readonly totalMs: number;
  readonly tokens: number;
}

/**
 * Runs the load; returns what each request saw, in the order in which they were sent. Throws Error for an answer that is not
 * what was asked for.
 */
export async function load(options: LoadOptions): Promise<Sample[]> {
  const key = new RandomKey(0).derive("lengths");
  const asked = Array.from({ length: options.requests }, (_, i) => {
    const tokens = Math.round(options.maxTokens * (0.5 + key.uniform(i)));
    return { tokens, bytes: requestBytes(options, i, tokens) };
  });
  const requests = asked.map(({ bytes }) => bytes);
  const exchanges =
    await (options.rate === undefined
      ? closedLoop(options, requests)
      : openLoop(options, requests, options.rate));
  return exchanges.map((exchange, i) => sampleOf(exchange, asked[i].tokens));
}

function requestBytes({ url, prompt }: LoadOptions, i: number, tokens: number): Uint8Array {
  return postBytes(new URL("/v1/completions", url), {
    prompt: prompt(i),
    max_tokens: tokens,
    ignore_eos: true,
    seed: i,
    stream: true,
  });
}

async function closedLoop(
  { url, clients }: LoadOptions,
  requests: readonly Uint8Array[],
): Promise<Exchange[]> {
  const exchanges: Exchange[] = [];
  let next = 0;
  await Promise.all(Array.from({ length: clients }, async () => {
    using connection = await HttpConnection.open(new URL(url));
    while (next < requests.length) {
      const i = next++;
      exchanges[i] = await connection.exchange(requests[i]);
    }
  }));
  return exchanges;
}

/** Poisson arrivals: the time to the next request is exponential. */
async function openLoop(
  { url, clients }: LoadOptions,
  requests: readonly Uint8Array[],
  rate: number,
): Promise<Exchange[]> {
  using connections = new DisposableStack();
  const open = async (): Promise<HttpConnection> =>
    connections.use(await HttpConnection.open(new URL(url)));
  const idle = await Promise.all(Array.from({ length: clients }, open));
  const key = new RandomKey(0).derive("arrivals"), running: Promise<Exchange>[] = [];
  const start = performance.now();
  let due = 0;
  for (const [i, request] of requests.entries()) {
    due += -Math.log(1 - key.uniform(i)) * 1000 / rate;
    const wait = start + due - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    running.push((async () => {
      const connection = idle.pop() ?? await open();
      const exchange = await connection.exchange(request);
      idle.push(connection);
      return exchange;
    })());
  }
  return await Promise.all(running);
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

function sampleOf(exchange: Exchange, asked: number): Sample {
  const { sentMs, reads } = exchange, { status, parts } = readResponse(exchange);
  const events = eventsOf(parts), textMs: number[] = [];
  let tokens = 0, engineFirstMs = NaN;
  for (const { data, atMs } of events) {
    if (data === "[DONE]") continue;
    const { choices, timings } = JSON.parse(data) as StreamEvent;
    if (choices?.[0]?.text) textMs.push(atMs);
    if (timings) {
      engineFirstMs = timings.queue_ms + timings.prompt_ms;
      tokens = timings.predicted_n;
    }
  }
  if (status === 200 && (tokens !== asked || events.at(-1)?.data !== "[DONE]")) {
    throw new Error(`load: an answer of ${asked} tokens has ${tokens}, or does not end.`);
  }
  return {
    status,
    sentMs,
    firstMs: (textMs[0] ?? NaN) - sentMs,
    engineFirstMs,
    betweenMs: textMs.slice(1).map((atMs, i) => atMs - textMs[i]),
    totalMs: reads.at(-1)!.atMs - sentMs,
    tokens,
  };
}

/** The data of server-sent events, each with the time of its last byte. */
function eventsOf(parts: readonly BodyPart[]): { data: string; atMs: number }[] {
  const events: { data: string; atMs: number }[] = [];
  let pending = "";
  for (const { text, atMs } of parts) {
    const lines = (pending + text).split("\n");
    pending = lines.pop()!;
    for (const line of lines) {
      if (line.startsWith("data: ")) events.push({ data: line.slice(6), atMs });
    }
  }
  return events;
}

/** The value below which a share of all values lies; NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).toSorted((a, b) => a - b);
  return sorted.length === 0 ? NaN : sorted[Math.ceil(share * sorted.length) - 1] ?? sorted[0];
}
