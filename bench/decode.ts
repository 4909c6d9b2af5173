/**
 * Generating tokens.
 *
 * @module
 */
import { Engine } from "../engine/mod.ts";
import { Decoder, parameters, type WeightFormat } from "../nn/mod.ts";
import type { Ceilings } from "../tensor/ceilings.ts";
import { sizeOf } from "../tensor/mod.ts";
import { llamaCppTokens } from "./peers/llama_cpp.ts";
import { beside, type Row } from "./report.ts";
import { type LlamaShape, llamaShapes, llamaSpec } from "./trainer.ts";

/** A model, and numbers of streams that generate at the same time, in turns; fp8 needs a GPU. */
type Case = readonly [
  shape: string,
  weights: Exclude<WeightFormat, "fp8">,
  streams: readonly number[],
];
const cases: readonly Case[] = [
  ["15M", "f32", [1, 64]],
  ["15M", "bf16", [1, 64]],
  ["15M", "int8", [1, 64]],
  ["1.3M", "f32", [1, 32, 64]],
  ["260K", "f32", [1]],
];

const context = 256, promptTokens = 8, defaultTokens = 64, defaultRuns = 5;

/** How to generate. */
export interface DecodeOptions {
  /** Tokens of each stream; 64 by default. */
  readonly newTokens?: number;
  /** How often; the fastest counts. 5 by default. */
  readonly runs?: number;
  /** Whether the log-probability of each token is asked for; false by default. */
  readonly logProbs?: boolean;
}

/**
 * Tokens per second of each of some numbers of streams that generate at the same time: of the fastest of several runs. They
 * run in turns, so that they have the same machine.
 */
export function tokensPerSecond(
  engine: Engine,
  vocab: number,
  streams: readonly number[],
  { newTokens = defaultTokens, runs = defaultRuns, logProbs = false }: DecodeOptions = {},
): number[] {
  const best = streams.map(() => 0);
  for (let run = 0; run < runs; run++) {
    streams.forEach((count, i) => {
      const prompts = Array.from(
        { length: count },
        (_, stream) =>
          Array.from({ length: promptTokens }, (_, k) => (run + 31 * stream + 7 * k) % vocab),
      );
      best[i] = Math.max(best[i], speedOf(engine, prompts, { maxTokens: newTokens, logProbs }));
    });
  }
  return best;
}

/** Works on requests until all of them generate, then until they are done: tokens per second of the latter part. */
function speedOf(
  engine: Engine,
  prompts: readonly number[][],
  options: { readonly maxTokens: number; readonly logProbs: boolean },
): number {
  for (const prompt of prompts) engine.add({ prompt, ...options });
  while (engine.metrics().waiting > 0) engine.step();
  engine.step();
  const start = performance.now();
  let tokens = 0;
  while (engine.busy) {
    tokens += engine.step().filter(({ event }) => event.kind === "token").length;
  }
  return tokens * 1000 / (performance.now() - start);
}

/** What log-probabilities cost 64 streams. */
function withLogProbs(decoder: Decoder): Row {
  using engine = new Engine(decoder, { kvTokens: 64 * context, prefixReuse: false });
  const [told, plain] = [true, false].map((logProbs) =>
    tokensPerSecond(engine, decoder.spec.vocab, [64], { logProbs })[0]
  );
  const row = { name: "15M f32 s64 with log-probs", value: told, unit: "tok/s" };
  return beside(row, "without", plain);
}

/** First tokens per second of requests, one after the other, whose prompts share all but their last tokens. */
function sharedPrompts(decoder: Decoder, prefixReuse: boolean): number {
  using engine = new Engine(decoder, { prefixReuse });
  const system = Array.from({ length: 192 }, (_, i) => 7 * i + 1), requests = 12;
  const ask = (question: number): void => {
    engine.add({ prompt: [...system, question, 5, 6, 7], maxTokens: 1 });
    while (engine.busy) engine.step();
  };
  ask(0);
  const start = performance.now();
  for (let question = 1; question <= requests; question++) ask(question);
  return requests * 1000 / (performance.now() - start);
}

/** Bytes of the matrices that a step reads. */
export function weightBytes(shape: LlamaShape, weights: WeightFormat): number {
  const matrices = parameters(llamaSpec(shape, context)).filter(({ shape }) => shape.length === 2);
  const elements = matrices.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  return elements * { f32: 4, bf16: 2, int8: 1, fp8: 1 }[weights];
}

/**
 * Streams of several models. The ceiling of one stream is how often memory can be read for all weights, many streams stand
 * beside one. With `peer`, llama.cpp generates one stream from the same weights.
 */
export function decode(ceilings: readonly Ceilings[], peer: boolean): Row[] {
  const { readGBs, threads } = ceilings.at(-1)!;
  const rows = cases.flatMap(([name, weights, streams]): Row[] => {
    const shape = llamaShapes[name];
    using decoder = new Decoder(llamaSpec(shape, context), { train: false });
    using engine = new Engine(decoder, { weights, kvTokens: 64 * context, prefixReuse: false });
    const [one, ...many] = tokensPerSecond(engine, shape.vocab, streams)
      .map((value, i): Row => ({
        name: `${name} ${weights} s${streams[i]}`,
        value,
        unit: "tok/s",
      }));
    const limit = readGBs * 1e9 / weightBytes(shape, weights);
    const length = { promptTokens, newTokens: defaultTokens, runs: defaultRuns };
    const other = peer ? llamaCppTokens(decoder, { weights, threads, ...length }) : undefined;
    return [
      beside({ ...one, ofCeiling: one.value / limit }, "llama.cpp", other),
      ...many.map((row) => beside(row, "one stream", one.value)),
    ];
  });
  using decoder = new Decoder(llamaSpec(llamaShapes["15M"], context), { train: false });
  const [alone, shared] = [false, true].map((reuse) => sharedPrompts(decoder, reuse));
  const row = { name: "15M f32 shared prompt", value: shared, unit: "first tokens/s" };
  return [...rows, withLogProbs(decoder), beside(row, "without reuse", alone)];
}
