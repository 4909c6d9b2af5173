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
import { load, type LoadOptions, percentile, type Sample } from "./load.ts";
import { beside, type Row } from "./report.ts";
import { StolenTime } from "./stolen.ts";
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
  await using programs = new AsyncDisposableStack();
  const url = request.url ?? await startServer(request, programs);
  const warm = await warmUp(url, request);
  const urls = request.peer ? [url, await startBareServer(warm, request, programs)] : [url];
  // Clients have machines of their own: their time is not to be what the engine leaves. Programs that start later would
  // inherit it.
  device().favour(Deno.pid);
  const [rows, bare] = (await inTurns(urls, request)).map((rounds) => rowsOf(rounds, request));
  if (bare === undefined) return rows;
  return rows.map((row, i) =>
    row.unit === "ms" || row.unit === "%" ? beside(row, "bare sockets", bare[i].value, true) : row
  );
}

/** A first load, which warms a program up. */
function warmUp(url: string, request: ServeRequest): Promise<Sample[]> {
  return load({ ...loadOf(url, request), requests: 8 * request.clients });
}

function loadOf(
  url: string,
  { clients, maxTokens, rate }: ServeRequest,
): Omit<LoadOptions, "requests"> {
  return { url, clients, maxTokens, prompt, ...(rate === undefined ? {} : { rate }) };
}

/** What the clients of one program saw from when they began to when all had their answers. */
interface Round {
  /**
   * In a closed loop all clients begin at the same moment, which no crowd of people does: what these first requests saw is a
   * figure of its own, and the others, which come as answers end, are the load.
   */
  readonly burst: readonly Sample[];
  readonly samples: readonly Sample[];
  /** Share of the processors' time that other machines had, where it is known. */
  readonly stolen: number | undefined;
}

/** Requests of a client in a round, at least: with fewer, much of it is the end, when some clients are done. */
const requestsOfRound = 8;

/** The load in rounds, programs in turns, so that they have the same machine; the rounds of each. */
async function inTurns(urls: readonly string[], request: ServeRequest): Promise<Round[][]> {
  const { clients, requests, rate } = request;
  const count = Math.max(1, Math.floor(requests / (requestsOfRound * clients)));
  const begin = rate === undefined ? clients : 0;
  const rounds: Round[][] = urls.map(() => []);
  for (let round = 0; round < count; round++) {
    for (const [i, url] of urls.entries()) {
      const others = new StolenTime();
      const samples = await load({
        ...loadOf(url, request),
        requests: begin + Math.ceil(requests / count),
      });
      rounds[i].push({
        burst: samples.slice(0, begin),
        samples: samples.slice(begin),
        stolen: others.share,
      });
    }
  }
  return rounds;
}

/** The rows of one program; times in ms. */
function rowsOf(rounds: readonly Round[], { clients, rate }: ServeRequest): Row[] {
  const name = rate === undefined ? `c${clients}` : `r${rate}`;
  const samples = rounds.flatMap(({ samples }) => samples);
  const good = samples.filter(({ status }) => status === 200);
  const seconds = rounds.reduce((sum, { samples }) => sum + secondsOf(samples), 0);
  const sum = (of: (sample: Sample) => number): number =>
    good.reduce((total, sample) => total + of(sample), 0);
  const totals = good.map(({ totalMs }) => totalMs);
  const stolen = rounds.flatMap(({ stolen }) => stolen ?? []);
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
    ...(rate === undefined
      ? [ms("burst ttft overhead", rounds.flatMap(({ burst }) => overheads(burst)), 0.99)]
      : []),
    ...(stolen.length === 0 ? [] : [{
      name: "time of other machines",
      value: 100 * stolen.reduce((a, b) => a + b, 0) / stolen.length,
      unit: "%",
    }]),
  ];
}

/** From the first request to the last answer. */
function secondsOf(samples: readonly Sample[]): number {
  const begin = Math.min(...samples.map(({ sentMs }) => sentMs));
  const end = Math.max(...samples.map(({ sentMs, totalMs }) => sentMs + totalMs));
  return (end - begin) / 1000;
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

/** The server as a user would start it, with random weights where no model is given; its address. */
async function startServer(
  { model, shape, tokenizer, threads }: ServeRequest,
  programs: AsyncDisposableStack,
): Promise<string> {
  const folder = Deno.makeTempDirSync();
  programs.defer(() => Deno.removeSync(folder, { recursive: true }));
  const program = await startProgram("cli/serve.ts", [
    ...["--model", model ?? randomModel(folder, shape), "--port", "0", "--max-requests", "4096"],
    ...(tokenizer === undefined ? [] : ["--tokenizer", tokenizer]),
    ...(threads === undefined ? [] : ["--threads", threads]),
  ]);
  return programs.use(program).url;
}

/** A server that does nothing but pass tokens on, from an engine as fast as the one that gave `samples`, warmed up; its address. */
async function startBareServer(
  samples: readonly Sample[],
  request: ServeRequest,
  programs: AsyncDisposableStack,
): Promise<string> {
  const { maxTokens, threads = String(navigator.hardwareConcurrency) } = request;
  const median = (of: (sample: Sample) => number): number => percentile(samples.map(of), 0.5);
  // Not from token to token: several that are read at once have no time between them.
  const decodeMs = median(({ totalMs }) => totalMs) - median(({ firstMs }) => firstMs);
  const stepMs = decodeMs / Math.max(1, maxTokens - 1);
  const program = await startProgram("bench/peers/bare_server.ts", [String(stepMs), threads]);
  const { url } = programs.use(program);
  await warmUp(url, request);
  return url;
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
