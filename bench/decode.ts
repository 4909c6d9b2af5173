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

/** A model, and streams that generate at the same time; fp8 needs a GPU. */
type Case = readonly [shape: string, weights: Exclude<WeightFormat, "fp8">, streams: number];
const cases: readonly Case[] = [
  ["15M", "f32", 1],
  ["15M", "bf16", 1],
  ["15M", "int8", 1],
  ["15M", "f32", 64],
  ["15M", "bf16", 64],
  ["15M", "int8", 64],
  ["1.3M", "f32", 1],
  ["1.3M", "f32", 32],
  ["1.3M", "f32", 64],
  ["260K", "f32", 1],
];

const context = 256, promptTokens = 8, defaultTokens = 64, defaultRuns = 5;

/** How long to generate. */
export interface DecodeLength {
  /** Tokens of each stream; 64 by default. */
  readonly newTokens?: number;
  /** How often; the fastest counts. 5 by default. */
  readonly runs?: number;
}

/** Works on requests until all of them generate, then until they are done: tokens per second of the latter part. */
export function tokensPerSecond(
  engine: Engine,
  vocab: number,
  streams: number,
  { newTokens = defaultTokens, runs = defaultRuns }: DecodeLength = {},
): number {
  let best = Infinity;
  for (let run = 0; run < runs; run++) {
    for (let stream = 0; stream < streams; stream++) {
      const prompt = Array.from(
        { length: promptTokens },
        (_, i) => (run + 31 * stream + 7 * i) % vocab,
      );
      engine.add({ prompt, maxTokens: newTokens });
    }
    while (engine.metrics().waiting > 0) engine.step();
    engine.step();
    const start = performance.now();
    let tokens = 0;
    while (engine.busy) {
      tokens += engine.step().filter(({ event }) => event.kind === "token").length;
    }
    best = Math.min(best, (performance.now() - start) / 1000 / tokens);
  }
  return 1 / best;
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
 * Streams of several models; the ceiling of one stream is how often memory can be read for all weights. With `peer`,
 * llama.cpp generates one stream from the same weights beside it.
 */
export function decode(ceilings: readonly Ceilings[], peer: boolean): Row[] {
  const { readGBs, threads } = ceilings.at(-1)!;
  const rows = cases.map(([name, weights, streams]): Row => {
    const shape = llamaShapes[name];
    using decoder = new Decoder(llamaSpec(shape, context), { train: false });
    using engine = new Engine(decoder, { weights, kvTokens: 64 * context, prefixReuse: false });
    const value = tokensPerSecond(engine, shape.vocab, streams);
    const row = { name: `${name} ${weights} s${streams}`, value, unit: "tok/s" };
    const limit = readGBs * 1e9 / weightBytes(shape, weights);
    if (streams > 1) return row;
    const length = { promptTokens, newTokens: defaultTokens, runs: defaultRuns };
    const other = peer ? llamaCppTokens(decoder, { weights, threads, ...length }) : undefined;
    return beside({ ...row, ofCeiling: value / limit }, "llama.cpp", other);
  });
  using decoder = new Decoder(llamaSpec(llamaShapes["15M"], context), { train: false });
  const [alone, shared] = [false, true].map((reuse) => sharedPrompts(decoder, reuse));
  const row = { name: "15M f32 shared prompt", value: shared, unit: "first tokens/s" };
  return [...rows, beside(row, "without reuse", alone)];
}
