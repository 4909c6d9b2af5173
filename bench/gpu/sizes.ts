/**
 * How large the work of the GPU bench is.
 *
 * @module
 */
import type { AttentionCase } from "../attention.ts";
import type { LlamaShape } from "../trainer.ts";

/** A product x·Wᵀ; x: [m, k], W: [n, k]. */
export interface ProductSize {
  readonly name: string;
  readonly m: number;
  readonly k: number;
  readonly n: number;
}

/** A model that learns or generates. */
export interface ModelSize {
  readonly name: string;
  readonly shape: LlamaShape;
  readonly batch: number;
  readonly time: number;
}

/** Sizes of everything that is measured. */
export interface GpuSizes {
  /** How often a measurement is made; the fastest counts. */
  readonly runs: number;
  /** Bytes whose copy is the ceiling of memory. */
  readonly copyBytes: number;
  /** The square product that is the ceiling of arithmetic. */
  readonly ceilingProduct: number;
  /** Floating-point operations that one measurement of a product does at least. */
  readonly productFlops: number;
  readonly products: readonly ProductSize[];
  readonly attention: readonly AttentionCase[];
  /** Kernels that memory bounds: tokens, width, inner width; and tokens beside a vocabulary. */
  readonly rows: number;
  readonly dim: number;
  readonly hidden: number;
  readonly vocab: number;
  readonly vocabRows: number;
  readonly headDim: number;
  /** Models that learn. */
  readonly training: readonly ModelSize[];
  /** Models that generate; `batch` is the most streams at a time, `time` the tokens of each. */
  readonly decoding: readonly ModelSize[];
}

const square = (size: number): ProductSize => ({ name: `${size}`, m: size, k: size, n: size });

const model125M: LlamaShape = {
  vocab: 50304,
  dim: 768,
  layers: 12,
  heads: 12,
  kvHeads: 12,
  hidden: 2048,
};
const model350M: LlamaShape = {
  vocab: 50304,
  dim: 1024,
  layers: 24,
  heads: 16,
  kvHeads: 16,
  hidden: 2816,
};

/** For a GPU: large enough for it to be busy, and for no tensor to fit its cache. */
export const fullSizes: GpuSizes = {
  runs: 5,
  copyBytes: 2 ** 30,
  ceilingProduct: 8192,
  productFlops: 1e12,
  products: [
    ...[512, 1024, 2048, 4096, 8192].map(square),
    { name: "up 16384x1024x2816", m: 16384, k: 1024, n: 2816 },
    { name: "down 16384x2816x1024", m: 16384, k: 2816, n: 1024 },
    { name: "head 4096x1024x50304", m: 4096, k: 1024, n: 50304 },
    { name: "row 1x4096x14336", m: 1, k: 4096, n: 14336 },
  ],
  attention: [
    { batch: 16, time: 1024, heads: 12, kvHeads: 12, headDim: 64 },
    { batch: 4, time: 4096, heads: 16, kvHeads: 16, headDim: 64 },
    { batch: 2, time: 4096, heads: 32, kvHeads: 8, headDim: 128 },
    { batch: 1, time: 16384, heads: 32, kvHeads: 8, headDim: 128 },
  ],
  rows: 16384,
  dim: 4096,
  hidden: 8192,
  vocab: 50304,
  vocabRows: 8192,
  headDim: 128,
  training: [
    { name: "125M", shape: model125M, batch: 16, time: 1024 },
    { name: "350M", shape: model350M, batch: 8, time: 2048 },
  ],
  decoding: [
    { name: "125M", shape: model125M, batch: 64, time: 128 },
    { name: "350M", shape: model350M, batch: 64, time: 128 },
  ],
};

const tinyModel: LlamaShape = { vocab: 64, dim: 32, layers: 1, heads: 2, kvHeads: 1, hidden: 32 };

/** For the simulated GPU of the tests, on which figures mean nothing. */
export const tinySizes: GpuSizes = {
  runs: 1,
  copyBytes: 4096,
  ceilingProduct: 16,
  productFlops: 1,
  products: [square(16), { name: "row 1x32x16", m: 1, k: 32, n: 16 }],
  attention: [{ batch: 1, time: 16, heads: 2, kvHeads: 1, headDim: 16 }],
  rows: 8,
  dim: 32,
  hidden: 32,
  vocab: 32,
  vocabRows: 4,
  headDim: 16,
  training: [{ name: "tiny", shape: tinyModel, batch: 1, time: 8 }],
  decoding: [{ name: "tiny", shape: tinyModel, batch: 2, time: 6 }],
};
