/**
 * A whole training step: forward, backward, clip, AdamW.
 *
 * @module
 */
import { Tensor } from "../tensor/mod.ts";
import type { Ceilings } from "./ceilings.ts";
import { Llama, type LlamaShape } from "./llama.ts";
import type { PeerFigures } from "./peers/peer.ts";
import { beside, type Row } from "./report.ts";
import { median } from "./timing.ts";

interface Case {
  readonly name: string;
  readonly shape: LlamaShape;
  readonly batch: number;
  readonly time: number;
}

const cases: readonly Case[] = [
  {
    name: "1.3M",
    shape: { vocab: 1024, dim: 128, layers: 6, heads: 4, kvHeads: 2, hidden: 384 },
    batch: 8,
    time: 256,
  },
  {
    name: "15M",
    shape: { vocab: 32000, dim: 288, layers: 6, heads: 6, kvHeads: 6, hidden: 768 },
    batch: 4,
    time: 256,
  },
];

/** Multiply-adds count twice; backward is twice forward; causal attention is half of the square. */
function flopsPerToken(
  { vocab, dim, layers, heads, kvHeads, hidden }: LlamaShape,
  time: number,
): number {
  const headDim = dim / heads;
  const weights = layers * (dim * headDim * (2 * heads + 2 * kvHeads) + 3 * dim * hidden) +
    vocab * dim;
  return 3 * (2 * weights + layers * 2 * time * dim);
}

/** Reproducible token ids. */
function ids(count: number, vocab: number, shape: readonly number[]): Tensor {
  return Tensor.from(Int32Array.from({ length: count }, (_, i) => (i * 7919 + 13) % vocab), shape, {
    dtype: "i32",
  });
}

/** Tokens per second of both models, in f32 and bf16. */
export function trainStep(ceilings: readonly Ceilings[], peer: PeerFigures): Row[] {
  const { fmaGflops } = ceilings.at(-1)!;
  return cases.flatMap(({ name, shape, batch, time }) =>
    (["f32", "bf16"] as const).flatMap((dtype) => {
      const tokens = batch * time, title = `${name} ${dtype}`;
      using model = new Llama(shape, time, dtype);
      using inputs = ids(tokens, shape.vocab, [batch, time]).keep();
      using targets = ids(tokens + 1, shape.vocab, [tokens + 1]).slice(0, 1).reshape([batch, time])
        .keep();
      const value = tokens / median(() => model.step(inputs, targets));
      const row: Row = {
        name: title,
        value,
        unit: "tok/s",
        ...(dtype === "f32"
          ? { ofCeiling: value * flopsPerToken(shape, time) / (fmaGflops * 1e9) }
          : {}),
      };
      const peers = ["eager", "compiled"].filter((kind) => `${title} ${kind}` in peer);
      if (peers.length === 0) return [row];
      return peers.map((kind) => beside(row, `torch ${kind}`, peer[`${title} ${kind}`]));
    })
  );
}
