/**
 * What arithmetic bounds: products of matrices, attention, whole training steps.
 *
 * @module
 */
import { attentionGflops, attentionTitle } from "../attention.ts";
import { productGflops } from "../gemm.ts";
import type { PeerFigures } from "../peers/peer.ts";
import { type GpuCeilings, type Row, withPeers } from "../report.ts";
import { flopsPerToken, lesson, llamaSpec, Trainer } from "../trainer.ts";
import type { GpuSizes } from "./sizes.ts";
import { gpuBest, gpuMedian } from "./timing.ts";

/** A row, with PyTorch's figures for the same work beside it. */
export function withTorch(row: Row, peer: PeerFigures): Row[] {
  const { name } = row;
  return withPeers(row, {
    "torch eager": peer[`${name} eager`],
    "torch compiled": peer[`${name} compiled`],
  });
}

const ceilingOf = (ceilings: GpuCeilings, dtype: "f32" | "bf16"): number =>
  dtype === "f32" ? ceilings.fmaGflops : ceilings.bf16Gflops;

/** Products by cuBLAS, in f32 and bf16. */
export function products(sizes: GpuSizes, ceilings: GpuCeilings, peer: PeerFigures): Row[] {
  const measure = { measure: gpuBest(sizes.runs), atLeast: sizes.productFlops };
  return (["bf16", "f32"] as const).flatMap((dtype) =>
    sizes.products.flatMap((size) => {
      const value = productGflops(size, dtype, measure), name = `gemm ${dtype} ${size.name}`;
      const ofCeiling = value / ceilingOf(ceilings, dtype);
      return withTorch({ name, value, unit: "GFLOP/s", ofCeiling }, peer);
    })
  );
}

/** Causal attention in bf16, forward and with its gradients. */
export function attention(sizes: GpuSizes, ceilings: GpuCeilings, peer: PeerFigures): Row[] {
  return sizes.attention.flatMap((shape) =>
    [false, true].flatMap((gradient) => {
      const value = attentionGflops(shape, "bf16", gradient, gpuBest(sizes.runs));
      const name = `attention ${attentionTitle(shape, "bf16", gradient)}`;
      const ofCeiling = value / ceilings.bf16Gflops;
      return withTorch({ name, value, unit: "GFLOP/s", ofCeiling }, peer);
    })
  );
}

/** Tokens per second of training in bf16; the share of the ceiling is the model's operations alone. */
export function training(sizes: GpuSizes, ceilings: GpuCeilings, peer: PeerFigures): Row[] {
  return sizes.training.flatMap(({ name, shape, batch, time }) => {
    using model = new Trainer(llamaSpec(shape, time), "bf16");
    const [ids, targets] = lesson(shape.vocab, [batch, time]);
    const seconds = gpuMedian(2 * sizes.runs + 1)(() => model.step(ids, targets));
    for (const tensor of [ids, targets]) tensor[Symbol.dispose]();
    const value = batch * time / seconds;
    const ofCeiling = value * flopsPerToken(shape, time) / (ceilings.bf16Gflops * 1e9);
    return withTorch({ name: `train ${name} bf16`, value, unit: "tok/s", ofCeiling }, peer);
  });
}
