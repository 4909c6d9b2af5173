/**
 * An inference server under load: what clients wait for, and what all of them get.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Decoder } from "../nn/mod.ts";
import { device } from "../tensor/mod.ts";
import { gpt2Pattern } from "../text/mod.ts";
import { byteCharacters } from "../text/byte_map.ts";
import { byteLevelJson } from "../text/tokenizer_json.ts";
import { load, percentile, type Sample } from "./load.ts";
import { beside, type Row } from "./report.ts";
import { type LlamaShape, llamaSpec } from "./trainer.ts";

/** What is asked of the server. */
export interface ServeRequest {
  /** A server that runs already; one is started without it. */
  readonly url: string | undefined;
  /** The model of the server that is started; random weights by default. */
  readonly model: string | undefined;
  /** The shape of random weights. */
  readonly shape: LlamaShape;
  /** Its tokenizer, where it carries none. */
  readonly tokenizer: string | undefined;
  /** Threads of its engine; its own choice by default. */
  readonly threads: string | undefined;
  /** Closed loop: clients that ask again when they have their answer. */
  readonly clients: number;
  /** Requests in all. */
  readonly requests: number;
  /** Open loop instead: requests a second. */
  readonly rate: number | undefined;
  /** New tokens of an answer, on average. */
  readonly maxTokens: number;
  /** Whether a program that does next to nothing is loaded in the same way, beside it: see `peers/bare_server.ts`. */
  readonly peer: boolean;
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
  const rows = await measureServer(request);
  return request.peer ? await besideBareServer(rows, request) : rows;
}

async function measureServer(request: ServeRequest): Promise<Row[]> {
  if (request.url !== undefined) return await measure(request.url, request);
  const folder = Deno.makeTempDirSync();
  try {
    const model = request.model ?? randomModel(folder, request.shape);
    await using server = await startServer(model, request);
    return await measure(server.url, request);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** What clients wait for, and wait for where a server does nothing but pass tokens on, from an engine of the same speed. */
async function besideBareServer(rows: readonly Row[], request: ServeRequest): Promise<Row[]> {
  const p50 = (name: string): number => rows.find((row) => row.name === `${name} p50`)!.value;
  // Not from token to token: several that are read at once have no time between them.
  const stepMs = (p50("request latency") - p50("ttft")) / Math.max(1, request.maxTokens - 1);
  const threads = request.threads ?? String(navigator.hardwareConcurrency);
  await using server = await startProgram("bench/peers/bare_server.ts", [String(stepMs), threads]);
  const bare = await measure(server.url, request);
  return rows.map((row, i) =>
    row.unit === "ms" ? beside(row, "bare sockets", bare[i].value, true) : row
  );
}

/**
 * A first load warms programs up. In a closed loop all clients begin at the same moment, which no crowd of people does: what
 * these first requests saw is a figure of its own, and the others, which come as answers end, are the load.
 */
async function measure(url: string, request: ServeRequest): Promise<Row[]> {
  device().favour(Deno.pid); // clients have machines of their own: their time is not to be what the engine leaves
  const { clients, requests, rate, maxTokens } = request;
  const options = { url, clients, maxTokens, prompt, ...(rate === undefined ? {} : { rate }) };
  await load({ ...options, requests: 8 * clients });
  if (rate !== undefined) return rows(await load({ ...options, requests }), `r${rate}`);
  const samples = await load({ ...options, requests: clients + requests });
  const burst = overheads(samples.slice(0, clients));
  return [
    ...rows(samples.slice(clients), `c${clients}`),
    ms("burst ttft overhead", burst, 0.99),
  ];
}

/** The rows; times in ms. */
function rows(samples: readonly Sample[], name: string): Row[] {
  const good = samples.filter(({ status }) => status === 200);
  const begin = Math.min(...samples.map(({ sentMs }) => sentMs));
  const end = Math.max(...samples.map(({ sentMs, totalMs }) => sentMs + totalMs));
  const seconds = (end - begin) / 1000;
  const sum = (of: (sample: Sample) => number): number =>
    good.reduce((total, sample) => total + of(sample), 0);
  const totals = good.map(({ totalMs }) => totalMs);
  return [
    ...[0.5, 0.99].map((share) => ms("ttft", good.map(({ firstMs }) => firstMs), share)),
    ...[0.5, 0.99].map((share) => ms("ttft overhead", overheads(good), share)),
    ...[0.5, 0.99].map((share) =>
      ms("inter-token latency", good.flatMap(({ betweenMs }) => betweenMs), share)
    ),
    ...[0.5, 0.99].map((share) => ms("request latency", totals, share)),
    {
      name: "streams at once",
      value: sum(({ totalMs }) => totalMs) / 1000 / seconds,
      unit: "streams",
    },
    { name: `throughput ${name}`, value: sum(({ tokens }) => tokens) / seconds, unit: "tokens/s" },
    { name: `requests ${name}`, value: good.length / seconds, unit: "requests/s" },
    { name: "refused", value: samples.length - good.length, unit: "requests" },
  ];
}

/** What the first token took beside the engine. */
function overheads(samples: readonly Sample[]): number[] {
  return samples.map(({ firstMs, engineFirstMs }) => firstMs - engineFirstMs);
}

function ms(name: string, values: readonly number[], share: number): Row {
  return { name: `${name} p${100 * share}`, value: percentile(values, share), unit: "ms" };
}

/** Random weights. */
function randomModel(folder: string, shape: LlamaShape): string {
  using decoder = new Decoder(llamaSpec(shape, 512), { train: false });
  decoder.save(folder);
  Deno.writeTextFileSync(
    join(folder, "tokenizer.json"),
    JSON.stringify(plainTokenizer(shape.vocab)),
  );
  return folder;
}

/**
 * A tokenizer whose first `size` tokens are ASCII. Random weights would choose single bytes of other alphabets as well, whose
 * text has to wait for the rest of a character: that time is nobody's overhead.
 */
function plainTokenizer(size: number): object {
  const plain = byteCharacters.filter((_, byte) => byte >= 0x20 && byte < 0x7f);
  const letters = plain.filter((character) => /[a-z]/.test(character));
  const tokens = [...plain], merges: string[] = [];
  for (let i = 0; tokens.length < size; i++) {
    const left = tokens[Math.floor(i / letters.length)], right = letters[i % letters.length];
    tokens.push(left + right);
    merges.push(`${left} ${right}`);
  }
  const others = byteCharacters.filter((character) => !plain.includes(character));
  const vocabulary = new Map([...tokens, ...others].map((token, id) => [token, id]));
  return byteLevelJson({ vocabulary, merges, added: [], pattern: gpt2Pattern });
}

/** The server as a user would start it. */
function startServer(
  model: string,
  { tokenizer, threads }: Pick<ServeRequest, "tokenizer" | "threads">,
): Promise<Program> {
  return startProgram("cli/serve.ts", [
    ...["--model", model, "--port", "0", "--max-requests", "4096"],
    ...(tokenizer === undefined ? [] : ["--tokenizer", tokenizer]),
    ...(threads === undefined ? [] : ["--threads", threads]),
  ]);
}

/** A server in a process of its own, which ends with its disposal. */
interface Program extends AsyncDisposable {
  readonly url: string;
}

/** Starts a program that prints its address. */
async function startProgram(path: string, args: readonly string[]): Promise<Program> {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--config", join(root, "deno.json"), join(root, path), ...args],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "", done } = await reader.read();
  if (done) throw new Error(`serve: ${path} did not start. Run it by hand to see why.`);
  return {
    url: value.trim(),
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await reader.cancel();
      await child.status;
    },
  };
}
