/**
 * Products with bf16 weights that lie in the order in which they are read: as pairs along the summed axis.
 *
 * @module
 */
import { DTypeError, ShapeError } from "../errors.ts";
import { formatShape, type Shape, sizeOf } from "../layout.ts";
import type { Op, Unary, View } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";

const source = new URL("./matmul.c", import.meta.url);
// As ops/gemm.h has them.
const columns = 32, unit = 16;

/** Pairs of inputs, with those that fill up the last unit. */
const wordsOf = (width: number): number => Math.ceil(Math.ceil(width / 2) / unit) * unit;

/** The shape of packed weights [out, in]: [panels, pairs of inputs, 32 outputs, 2]. */
function packedShape([out, width]: Shape): Shape {
  return [Math.ceil(out / columns), wordsOf(width), columns, 2];
}

/** Where weight [out, in] lies among packed ones. */
function packedIndex(out: number, input: number, words: number): number {
  const word = Math.floor(out / columns) * words + Math.floor(input / 2);
  return (word * columns + out % columns) * 2 + input % 2;
}

/** bf16 weights [out, in] in panels of 32 outputs, pair after pair of inputs, with zeros where none are left. */
export const packPairs: Unary<void> = {
  name: "packPairs",
  outputs: ([{ shape, dtype }]) => {
    if (shape.length !== 2 || dtype !== "bf16") {
      throw new ShapeError(
        `packPairs: bf16 weights [out, in] are needed, ${
          formatShape(shape)
        } ${dtype} (${shape.length} axes).`,
      );
    }
    return [{ shape: packedShape(shape), dtype }];
  },
  reference: ([weight], [packed]) => {
    const [out, width] = weight.shape, words = wordsOf(width);
    packed.data.fill(0);
    for (let o = 0; o < out; o++) {
      for (let i = 0; i < width; i++) {
        packed.data[packedIndex(o, i, words)] = weight.data[o * width + i];
      }
    }
  },
  kernel: {
    source,
    entry: "pack_pairs",
    arguments: (to, [weight], [packed]) => {
      to.address(addressOf(packed)).address(addressOf(weight));
      to.integer(weight.shape[0]).integer(weight.shape[1]);
    },
  },
  samples: [[3, 5], [1, 1], [32, 64], [100, 33], [0, 4], [3, 0]].map((shape) => ({
    shapes: [shape],
    params: undefined,
    dtypes: ["bf16"],
  })),
};

/** What becomes of a product with packed pairs. */
export interface LinearPairsParams {
  /** Outputs; the last panel may have room for more. */
  readonly out: number;
  /** Whether the result is f32 rather than bf16. */
  readonly wide?: boolean;
}

/**
 * y = x·Wᵀ with the bits of `linear`, or `matmulWide` if `wide`. x: bf16 [..., in], W: bf16 [out, in] as `packPairs` packs
 * it → [..., out].
 */
export const linearPairs: Op<LinearPairsParams, readonly [x: Tensor, packed: Tensor]> = {
  name: "linearPairs",
  outputs: ([x, packed], { out, wide = false }) => {
    check(x, packed, out);
    return [{ shape: x.shape.with(-1, out), dtype: wide ? "f32" : x.dtype }];
  },
  reference: ([x, packed], [y], { out }) => {
    const width = x.shape.at(-1)!, words = wordsOf(width), rows = sizeOf(x.shape.slice(0, -1));
    for (let row = 0; row < rows; row++) {
      for (let o = 0; o < out; o++) {
        let sum = 0;
        for (let i = 0; i < width; i++) {
          sum += x.data[row * width + i] * packed.data[packedIndex(o, i, words)];
        }
        y.data[row * out + o] = sum;
      }
    }
  },
  kernel: {
    source,
    entry: "linear_pairs",
    arguments: (to, [x, packed], [y], { out, wide = false }) => {
      to.address(addressOf(y)).address(addressOf(x)).address(addressOf(packed));
      to.integer(sizeOf(x.shape.slice(0, -1))).integer(out).integer(x.shape.at(-1)!);
      to.integer(wide ? 1 : 0);
    },
  },
  // rows, in, out; more inputs than one block, more rows than one tile.
  samples: [[1, 4, 32], [1, 1, 1], [5, 33, 70], [33, 500, 65], [2, 1100, 300], [70, 64, 40], [
    0,
    4,
    3,
  ], [2, 0, 3]]
    .flatMap(([rows, width, out]) =>
      [false, true].map((wide) => ({
        shapes: [[rows, width], packedShape([out, width])] as const,
        params: { out, wide },
        dtypes: ["bf16", "bf16"] as const,
      }))
    ),
};

function check(x: View, packed: View, out: number): void {
  const width = x.shape.at(-1) ?? 0, wanted = packedShape([out, width]);
  if (String(packed.shape) !== String(wanted)) {
    throw new ShapeError(
      `linearPairs: the weights do not fit the input, ${formatShape(packed.shape)} and ${
        formatShape(x.shape)
      } (${packed.shape[1]} vs ${wanted[1]} pairs). Pack them with packPairs.`,
    );
  }
  if (packed.dtype !== "bf16" || x.dtype !== "bf16") {
    throw new DTypeError(
      `linearPairs: the input is ${x.dtype}, the weights ${packed.dtype}. Pass both as bf16.`,
    );
  }
}
