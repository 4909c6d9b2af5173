/**
 * Generating tokens.
 *
 * @module
 */
import { Engine } from "../engine/mod.ts";
import { Decoder, parameters, type WeightFormat } from "../nn/mod.ts";
import type { Ceilings } from "../tensor/ceilings.ts";
import { sizeOf } from "../tensor/mod.ts";
import type { PeerFigures } from "./peers/peer.ts";
import { beside, type Row } from "./report.ts";
import { type LlamaShape, llamaSpec } from "./trainer.ts";

const shapes: Record<string, LlamaShape> = {
  "15M": { vocab: 32000, dim: 288, layers: 6, heads: 6, kvHeads: 6, hidden: 768 },
  "1.3M": { vocab: 1024, dim: 128, layers: 6, heads: 4, kvHeads: 2, hidden: 384 },
  "260K": { vocab: 512, dim: 64, layers: 5, heads: 8, kvHeads: 4, hidden: 172 },
};

/** Streams that generate at the same time. */
const cases: readonly (readonly [shape: string, weights: WeightFormat, streams: number])[] = [
  ["15M", "f32", 1],
  ["15M", "bf16", 1],
  ["15M", "int8", 1],
  ["15M", "f32", 64],
  ["1.3M", "f32", 1],
  ["1.3M", "f32", 32],
  ["1.3M", "f32", 64],
  ["260K", "f32", 1],
];

const context = 256, promptTokens = 8, newTokens = 96, runs = 5;

/** Tokens per second of the best of some runs, prompts not counted. */
function tokensPerSecond(engine: Engine, vocab: number, streams: number, sampled: boolean): number {
  let best = Infinity;
  const options = { maxTokens: newTokens, temperature: sampled ? 0.8 : 0, topP: sampled ? 0.9 : 1 };
  for (let run = 0; run < runs; run++) {
    for (let stream = 0; stream < streams; stream++) {
      const prompt = Array.from(
        { length: promptTokens },
        (_, i) => (run + 31 * stream + 7 * i) % vocab,
      );
      engine.add({ ...options, prompt, seed: stream });
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

/** Bytes of the matrices that a step reads. */
function weightBytes(shape: LlamaShape, weights: WeightFormat): number {
  const matrices = parameters(llamaSpec(shape, context)).filter(({ shape }) => shape.length === 2);
  const elements = matrices.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  return elements * { f32: 4, bf16: 2, int8: 1 }[weights];
}

/** Streams of several models; the ceiling of one stream is how often memory can be read for all weights. */
export function decode(ceilings: readonly Ceilings[], peer: PeerFigures): Row[] {
  const { readGBs } = ceilings.at(-1)!;
  return cases.map(([name, weights, streams]) => {
    const shape = shapes[name];
    using decoder = new Decoder(llamaSpec(shape, context), { train: false });
    using engine = new Engine(decoder, { weights, kvTokens: 64 * context, prefixReuse: false });
    const value = tokensPerSecond(engine, shape.vocab, streams, false);
    const limit = readGBs * 1e9 / weightBytes(shape, weights);
    const title = `${name} ${weights} s${streams}`;
    const row: Row = { name: title, value, unit: "tok/s" };
    return beside(
      streams === 1 ? { ...row, ofCeiling: value / limit } : row,
      "llama2.c",
      peer[title],
    );
  });
}
