/**
 * Attention, forward and with its gradient.
 *
 * @module
 */
import { device, type DType, noGrad, RandomKey, scope, Tensor } from "../tensor/mod.ts";
import type { Ceilings } from "../tensor/ceilings.ts";
import type { PeerFigures } from "./peers/peer.ts";
import { beside, type Row } from "./report.ts";
import { best } from "./timing.ts";

/** Sizes of attention. */
export interface AttentionCase {
  readonly batch: number;
  readonly time: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

const cases: readonly AttentionCase[] = [
  { batch: 8, time: 256, heads: 4, kvHeads: 2, headDim: 32 },
  { batch: 4, time: 256, heads: 6, kvHeads: 6, headDim: 48 },
  { batch: 1, time: 1024, heads: 8, kvHeads: 4, headDim: 64 },
  { batch: 1, time: 4096, heads: 8, kvHeads: 8, headDim: 64 },
  { batch: 2, time: 512, heads: 16, kvHeads: 16, headDim: 128 },
];

/** GFLOP/s of causal attention, forward only or with the gradients of q, k and v. */
export function attentionGflops(
  { batch, time, heads, kvHeads, headDim }: AttentionCase,
  dtype: DType,
  gradient: boolean,
  measure: (work: () => void) => number = best,
): number {
  const random = (count: number, seed: number): Tensor =>
    scope(() => Tensor.normal([batch, time, count, headDim], new RandomKey(seed)).to(dtype))
      .requireGrad()
      .keep();
  using q = random(heads, 1);
  using k = random(kvHeads, 2);
  using v = random(kvHeads, 3);
  using seed = scope(() => Tensor.normal(q.shape, new RandomKey(4)).to(dtype)).keep();
  const forward = (): Tensor => q.attention(k, v, { causal: true });
  // Two products of half a square forward; backward recomputes one and makes four more.
  const flops = 2 * batch * heads * time * time * headDim * (gradient ? 3.5 : 1);
  return flops / 1e9 /
    measure(() => scope(() => gradient ? forward().backward(seed) : noGrad(forward)));
}

/** What a row of attention is called. */
export function attentionTitle(
  { batch, time, heads, kvHeads, headDim }: AttentionCase,
  dtype: DType,
  gradient: boolean,
): string {
  const kind = gradient ? "forward+backward" : "forward";
  return `${dtype} B${batch} T${time} H${heads}/${kvHeads} D${headDim} ${kind}`;
}

/** Causal attention in f32 and bf16 on all threads; the ceiling is that of f32 multiply-adds. */
export function attention(ceilings: readonly Ceilings[], peer: PeerFigures): Row[] {
  const { fmaGflops, threads } = ceilings.at(-1)!;
  device().threads = threads;
  return cases.flatMap((shape) =>
    (["f32", "bf16"] as const).flatMap((dtype) =>
      [false, true].map((gradient): Row => {
        const name = attentionTitle(shape, dtype, gradient);
        const value = attentionGflops(shape, dtype, gradient);
        return beside(
          { name, value, unit: "GFLOP/s", ofCeiling: value / fmaGflops },
          "torch",
          peer[name],
        );
      })
    )
  );
}
