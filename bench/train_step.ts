/**
 * A whole training step: forward, backward, clip, AdamW.
 *
 * @module
 */
import { device } from "../tensor/mod.ts";
import { chunkSize } from "../tensor/losses/head.ts";
import type { Ceilings } from "../tensor/ceilings.ts";
import type { PeerFigures } from "./peers/peer.ts";
import { type Row, withPeers } from "./report.ts";
import { median } from "./timing.ts";
import { flopsPerToken, lesson, type LlamaShape, llamaSpec, Trainer } from "./trainer.ts";

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

/**
 * Bytes a step must hold at once: masters, gradients and the optimizer's two means in f32, the bf16 copy, and what the
 * gradients need of each block: two norms' inputs and outputs, qkv, the turned q and k, what attention gives with its
 * log-sums, and the three parts of the gated unit; then the head's input, its gradient, and one chunk of logits.
 */
function neededBytes(
  { vocab, dim, layers, heads, kvHeads, hidden }: LlamaShape,
  parameters: number,
  tokens: number,
  dtype: "f32" | "bf16",
  chunk: number,
): number {
  const headDim = dim / heads;
  const width = dtype === "f32" ? 4 : 2;
  const state = parameters * (16 + (dtype === "bf16" ? 2 : 0));
  const block =
    width * (4 * dim + (2 * heads + 3 * kvHeads) * headDim + heads * headDim + 3 * hidden) +
    4 * (heads + 2);
  return state + tokens * (layers * block + 3 * width * dim) +
    chunk * vocab * (4 + (dtype === "bf16" ? 2 : 0));
}

/** Tokens per second of both models, in f32 and bf16, and the peak of memory as a multiple of what a step must hold. */
export function trainStep(ceilings: readonly Ceilings[], peer: PeerFigures): Row[] {
  const { fmaGflops } = ceilings.at(-1)!;
  return cases.flatMap(({ name, shape, batch, time }) =>
    (["f32", "bf16"] as const).flatMap((dtype) => {
      const tokens = batch * time, title = `${name} ${dtype}`;
      using model = new Trainer(llamaSpec(shape, time), dtype);
      const [inputs, targets] = lesson(shape.vocab, [batch, time]);
      const value = tokens / median(() => model.step(inputs, targets));
      const before = device().memory.inUse - model.bytes;
      device().resetPeak();
      model.step(inputs, targets);
      for (const tensor of [inputs, targets]) tensor[Symbol.dispose]();
      const chunk = Math.min(tokens, chunkSize("bench", shape.vocab, {}));
      const memory: Row = {
        name: `${title} peak memory`,
        value: (device().memory.peak - before) /
          neededBytes(shape, model.parameters, tokens, dtype, chunk),
        unit: "of what a step must hold",
      };
      const row: Row = {
        name: title,
        value,
        unit: "tok/s",
        ...(dtype === "f32"
          ? { ofCeiling: value * flopsPerToken(shape, time) / (fmaGflops * 1e9) }
          : {}),
      };
      const figures = {
        "torch eager": peer[`${title} eager`],
        "torch compiled": peer[`${title} compiled`],
      };
      return [...withPeers(row, figures), memory];
    })
  );
}
