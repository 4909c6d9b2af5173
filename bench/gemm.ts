/**
 * Matrix products.
 *
 * @module
 */
import { device, type DType, scope, Tensor } from "../tensor/mod.ts";
import type { Ceilings } from "../tensor/ceilings.ts";
import { type Row, withPeers } from "./report.ts";
import { openBlas } from "./peers/openblas.ts";
import type { PeerFigures } from "./peers/peer.ts";
import { best } from "./timing.ts";

const squares = [64, 128, 256, 512, 1024, 2048];

/** The products of one training step of the 15 M model: [m, k] @ [k, n], and which operand is read transposed. */
const layers = [
  { name: "up 1024x288x768", m: 1024, k: 288, n: 768 },
  { name: "down 1024x768x288", m: 1024, k: 768, n: 288 },
  { name: "head 1024x288x32000", m: 1024, k: 288, n: 32000 },
  { name: "row 1x288x32000", m: 1, k: 288, n: 32000 },
];

/** How a product is measured. */
export interface ProductMeasure {
  /** Seconds of a call; the best of several by default. */
  readonly measure?: (work: () => void) => number;
  /** How many floating-point operations a call does at least. */
  readonly atLeast?: number;
}

/** GFLOP/s of x·Wᵀ; x: [m, k], W: [n, k]. */
export function productGflops(
  { m, k, n }: { readonly m: number; readonly k: number; readonly n: number },
  dtype: DType,
  { measure = best, atLeast = 2e8 }: ProductMeasure = {},
): number {
  using x = Tensor.full([m, k], 0.5, { dtype }).keep();
  using weight = Tensor.full([n, k], 0.25, { dtype }).keep();
  const work = 2 * m * k * n, repeats = Math.max(1, Math.round(atLeast / work));
  const seconds = measure(() =>
    scope(() => {
      for (let i = 0; i < repeats; i++) x.linear(weight)[Symbol.dispose]();
    })
  );
  return work * repeats / seconds / 1e9;
}

/** Squares, and the shapes of a small model, in f32 and bf16, on one thread and on all. */
export function gemm(ceilings: readonly Ceilings[], peer: PeerFigures): Row[] {
  const before = device().threads, rows: Row[] = [];
  const blas = Object.keys(peer).length > 0 ? openBlas() : null;
  const shapes = [
    ...squares.map((size) => ({ name: String(size), m: size, k: size, n: size })),
    ...layers,
  ];
  for (const { threads, fmaGflops, bf16Gflops } of ceilings) {
    device().threads = threads;
    for (const dtype of ["f32", "bf16"] as const) {
      const ceiling = dtype === "f32" || bf16Gflops === 0 ? fmaGflops : bf16Gflops;
      for (const { name, m, k, n } of shapes) {
        const value = productGflops({ m, k, n }, dtype), title = `${dtype} ${name} t${threads}`;
        const row: Row = { name: title, value, unit: "GFLOP/s", ofCeiling: value / ceiling };
        const openblas = dtype === "f32" ? blas?.gflops(m, k, n, threads) : undefined;
        rows.push(...withPeers(row, { torch: peer[title], openblas }));
      }
    }
  }
  device().threads = before;
  return rows;
}
