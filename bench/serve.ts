/**
 * An inference server under load: what clients wait for, and what all of them get.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Decoder } from "../nn/mod.ts";
import { trainBpe } from "../text/mod.ts";
import { load, percentile, type Sample } from "./load.ts";
import type { Row } from "./report.ts";
import { llamaSpec } from "./trainer.ts";

/** What is asked of the server. */
export interface ServeRequest {
  /** A server that runs already; one is started without it. */
  readonly url: string | undefined;
  /** The model of the server that is started; random weights of stories260K's shape by default. */
  readonly model: string | undefined;
  /** Its tokenizer, where it carries none. */
  readonly tokenizer: string | undefined;
  /** Closed loop: clients that ask again when they have their answer. */
  readonly clients: number;
  /** Requests in all. */
  readonly requests: number;
  /** Open loop instead: requests a second. */
  readonly rate: number | undefined;
  /** New tokens of each answer. */
  readonly maxTokens: number;
}

const words = "once upon a time there was a little girl who had a red ball and a small dog ".split(
  " ",
);

/** A prompt of its own for each request: nothing is found computed. */
function prompt(i: number): string {
  return Array.from({ length: 16 }, (_, k) => words[(i * 7 + k * (i % 5 + 1)) % words.length])
    .join(" ");
}

/** Starts a server where none is given, loads it, and tells what came of it. */
export async function serve(request: ServeRequest): Promise<Row[]> {
  if (request.url !== undefined) return await measure(request.url, request);
  const folder = Deno.makeTempDirSync();
  try {
    const model = request.model ?? await randomModel(folder);
    await using server = await startServer(model, request.tokenizer);
    return await measure(server.url, request);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

async function measure(url: string, request: ServeRequest): Promise<Row[]> {
  const { clients, requests, rate, maxTokens } = request;
  const options = { url, clients, maxTokens, prompt, ...(rate === undefined ? {} : { rate }) };
  await load({ ...options, requests: Math.min(requests, clients) }); // programs warm up as well
  const { samples, seconds } = await load({ ...options, requests });
  return rows(samples, seconds, rate === undefined ? `c${clients}` : `r${rate}`);
}

/** The rows; times in ms. */
function rows(samples: readonly Sample[], seconds: number, name: string): Row[] {
  const good = samples.filter(({ status }) => status === 200);
  const first = good.map(({ firstMs }) => firstMs);
  const overhead = good.map(({ firstMs, engineFirstMs }) => firstMs - engineFirstMs);
  const between = good.flatMap(({ betweenMs }) => betweenMs);
  const tokens = good.reduce((sum, sample) => sum + sample.tokens, 0);
  const ms = (name: string, values: readonly number[], share: number): Row => ({
    name: `${name} p${100 * share}`,
    value: percentile(values, share),
    unit: "ms",
  });
  return [
    ...[0.5, 0.99].map((share) => ms("ttft", first, share)),
    ...[0.5, 0.99].map((share) => ms("ttft overhead", overhead, share)),
    ...[0.5, 0.99].map((share) => ms("inter-token latency", between, share)),
    ...[0.5, 0.99].map((share) => ms("request latency", good.map(({ totalMs }) => totalMs), share)),
    { name: `throughput ${name}`, value: tokens / seconds, unit: "tokens/s" },
    { name: `requests ${name}`, value: good.length / seconds, unit: "requests/s" },
    { name: "refused", value: samples.length - good.length, unit: "requests" },
  ];
}

/** Random weights of stories260K's shape, with a byte-level tokenizer. */
async function randomModel(folder: string): Promise<string> {
  const shape = { vocab: 512, dim: 64, layers: 5, heads: 8, kvHeads: 4, hidden: 172 };
  using decoder = new Decoder(llamaSpec(shape, 512), { train: false });
  decoder.save(folder);
  await trainBpe([words.join(" ")], { vocabularySize: 300 }).save(folder);
  return folder;
}

/** The server as a user would start it, in a process of its own. */
async function startServer(
  model: string,
  tokenizer: string | undefined,
): Promise<AsyncDisposable & { readonly url: string }> {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--config", join(root, "deno.json"), join(root, "cli/serve.ts")],
      ...["--model", model, "--port", "0", "--max-requests", "4096"],
      ...(tokenizer === undefined ? [] : ["--tokenizer", tokenizer]),
    ],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "", done } = await reader.read();
  if (done) throw new Error("serve: the server did not start. Run `deno task serve` to see why.");
  return {
    url: value.trim(),
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await reader.cancel();
      await child.status;
    },
  };
}
