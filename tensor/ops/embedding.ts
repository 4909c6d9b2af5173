/**
 * Rows of a table, looked up by number.
 *
 * @module
 */
import { ShapeError } from "../errors.ts";
import { formatShape, type Shape, sizeOf } from "../layout.ts";
import type { Binary } from "../op.ts";
import { addressOf } from "./address.ts";
import { badIndexIn, checkIndexType, findBadIndex } from "./indices.ts";
import { bucketLaunches, bucketScratch, overRows } from "./launch.ts";

const source = new URL("./embedding.c", import.meta.url);
const cudaSource = new URL("./embedding.cu", import.meta.url);

/** Rows of the table, and whether to add to what is there. */
export interface EmbeddingGradientParams {
  readonly vocab: number;
  readonly accumulate?: boolean;
}

const cases: readonly { ids: Shape; vocab: number; dim: number }[] = [
  { ids: [5], vocab: 3, dim: 7 },
  { ids: [], vocab: 1, dim: 1 },
  { ids: [2, 33], vocab: 20, dim: 40 },
  { ids: [300], vocab: 11, dim: 129 },
  { ids: [0], vocab: 4, dim: 3 },
  { ids: [3, 2], vocab: 4, dim: 0 },
];

const draw = (vocab: number) => (input: number, uniform: number): number =>
  input === 0 ? Math.floor(uniform * vocab) : uniform * 4 - 2;

/** The gradient of a table: row `ids[i]` gets g[i], rows summed in order of position. f32, or f64 from f64. */
const embeddingBackward: Binary<EmbeddingGradientParams> = {
  name: "embeddingBackward",
  outputs: ([_, { shape, dtype }], { vocab }) => [
    { shape: [vocab, shape.at(-1)!], dtype: dtype === "f64" ? "f64" : "f32" },
  ],
  reference: ([ids, g], [out], { accumulate }) => {
    const dim = out.shape[1];
    if (!accumulate) out.data.fill(0);
    ids.data.forEach((id, i) => {
      for (let j = 0; j < dim; j++) out.data[id * dim + j] += g.data[i * dim + j];
    });
  },
  kernel: {
    source,
    entry: "embedding_backward",
    cuda: {
      source: cudaSource,
      launches: ([ids], [{ shape: [vocab, dim] }]) =>
        bucketLaunches("embedding", sizeOf(ids.shape), vocab, dim),
      scratch: ([ids], [{ shape: [vocab] }]) => bucketScratch(sizeOf(ids.shape), vocab),
    },
    dtype: ([, g]) => g.dtype,
    arguments: (to, [ids, g], [out], { vocab, accumulate }) => {
      to.address(addressOf(out)).address(addressOf(ids)).address(addressOf(g));
      to.integer(sizeOf(ids.shape)).integer(vocab).integer(out.shape[1]).integer(
        accumulate ? 1 : 0,
      );
    },
  },
  samples: cases.map(({ ids, vocab, dim }) => ({
    shapes: [ids, [...ids, dim]],
    params: { vocab },
    dtypes: ["i32", null],
    draw: draw(vocab),
  })),
};

/** ids: […] i32, weight: [vocab, dim] → […, dim], row `ids[i]` of the table at place i. */
export const embedding: Binary = {
  name: "embedding",
  outputs: ([ids, { shape, dtype }]) => {
    checkIndexType("embedding", ids);
    if (shape.length !== 2) {
      throw new ShapeError(
        `embedding: the table is ${formatShape(shape)} (rank ${shape.length}). Pass [vocab, dim].`,
      );
    }
    return [{ shape: [...ids.shape, shape[1]], dtype }];
  },
  reference: ([ids, weight], [out]) => {
    const bad = findBadIndex("embedding", ids.data, 0, weight.shape);
    if (bad) throw bad;
    const dim = weight.shape[1];
    ids.data.forEach((id, i) => {
      for (let j = 0; j < dim; j++) out.data[i * dim + j] = weight.data[id * dim + j];
    });
  },
  kernel: {
    source,
    entry: "embedding",
    cuda: {
      source: cudaSource,
      launches: ([ids, weight]) => [overRows(sizeOf(ids.shape), weight.shape[1])],
    },
    dtype: ([, weight]) => weight.dtype,
    arguments: (to, [ids, weight], [out]) => {
      const [vocab, dim] = weight.shape;
      to.address(addressOf(out)).address(addressOf(ids)).address(addressOf(weight));
      to.integer(sizeOf(ids.shape)).integer(vocab).integer(dim);
    },
    error: (_, [ids, { shape }]) => badIndexIn("embedding", ids, 0, shape),
  },
  saves: { inputs: [0] },
  vjp: ([g], { inputs: [ids], specs: [, { shape: [vocab], dtype }], into, apply, applyInto }) => {
    const gradient = into(1);
    if (!gradient) return [null, apply(embeddingBackward, [ids, g], { vocab })[0].to(dtype)];
    applyInto(embeddingBackward, [ids, g], [gradient], { vocab, accumulate: true });
    return [null, gradient];
  },
  companions: [embeddingBackward],
  samples: cases.map(({ ids, vocab, dim }) => ({
    shapes: [ids, [vocab, dim]],
    params: undefined,
    dtypes: ["i32", null],
    draw: draw(vocab),
  })),
};
