/**
 * Products with weights that lie in the order in which they are read.
 *
 * @module
 */
import { DTypeError, ShapeError } from "../errors.ts";
import { formatShape, type Shape, sizeOf } from "../layout.ts";
import type { Op, Unary, View } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { blockThreads, overElements } from "./launch.ts";

const source = new URL("./packed.c", import.meta.url);
const cudaSource = new URL("./packed.cu", import.meta.url);
/** Outputs of a panel. */
const panel = 32;

/** The shape of packed weights [out, in]: [panels, in, 32 outputs]. */
const packedShape = ([out, width]: Shape): Shape => [Math.ceil(out / panel), width, panel];

/** Where weight [out, in] lies among packed ones. */
function packedIndex(out: number, input: number, width: number): number {
  return (Math.floor(out / panel) * width + input) * panel + out % panel;
}

/** f32 weights [out, in] in panels of 32 outputs, input after input: [⌈out / 32⌉, in, 32], with zeros where none are left. */
export const packRows: Unary<void> = {
  name: "packRows",
  outputs: ([{ shape, dtype }]) => {
    if (shape.length !== 2 || (dtype !== "f32" && dtype !== "f64")) {
      throw new ShapeError(
        `packRows: f32 weights [out, in] are needed, ${
          formatShape(shape)
        } ${dtype} (${shape.length} axes).`,
      );
    }
    return [{ shape: packedShape(shape), dtype }];
  },
  reference: ([weight], [packed]) => {
    const [out, width] = weight.shape;
    packed.data.fill(0);
    for (let o = 0; o < out; o++) {
      for (let i = 0; i < width; i++) {
        packed.data[packedIndex(o, i, width)] = weight.data[o * width + i];
      }
    }
  },
  kernel: {
    source,
    entry: "pack_rows",
    cuda: {
      source: cudaSource,
      launches: (_, [packed]) => [overElements(sizeOf(packed.shape), 1)],
    },
    arguments: (to, [weight], [packed]) => {
      to.address(addressOf(packed)).address(addressOf(weight));
      to.integer(weight.shape[0]).integer(weight.shape[1]);
    },
  },
  samples: [[3, 5], [1, 1], [32, 7], [100, 33], [0, 4], [3, 0]].map((shape) => ({
    shapes: [shape],
    params: undefined,
    dtypes: ["f32"],
  })),
};

/** How many outputs packed weights have. */
export interface LinearPackedParams {
  /** Outputs; the last panel may have room for more. */
  readonly out: number;
}

/**
 * y = x·Wᵀ with the bits of `linear`. x: f32 [..., in], W: f32 [out, in] as `packRows` packs it → [..., out].
 */
export const linearPacked: Op<LinearPackedParams, readonly [x: Tensor, packed: Tensor]> = {
  name: "linearPacked",
  outputs: ([x, packed], { out }) => {
    check(x, packed, out);
    return [{ shape: x.shape.with(-1, out), dtype: x.dtype }];
  },
  reference: ([x, packed], [y], { out }) => {
    const width = x.shape.at(-1)!, rows = sizeOf(x.shape.slice(0, -1));
    for (let row = 0; row < rows; row++) {
      for (let o = 0; o < out; o++) {
        let sum = 0;
        for (let i = 0; i < width; i++) {
          sum += x.data[row * width + i] * packed.data[packedIndex(o, i, width)];
        }
        y.data[row * out + o] = sum;
      }
    }
  },
  kernel: {
    source,
    entry: "linear_packed",
    cuda: {
      source: cudaSource,
      launches: ([x], _, { out }) => {
        const rows = sizeOf(x.shape.slice(0, -1));
        return [{
          blocks: [Math.ceil(out / panel), Math.ceil(rows / 8), 1],
          threads: blockThreads,
        }];
      },
    },
    arguments: (to, [x, packed], [y], { out }) => {
      to.address(addressOf(y)).address(addressOf(x)).address(addressOf(packed));
      to.integer(sizeOf(x.shape.slice(0, -1))).integer(out).integer(x.shape.at(-1)!);
    },
  },
  // rows, in, out; more inputs than one block, more rows than one tile.
  samples: [[1, 4, 32], [1, 1, 1], [5, 33, 70], [33, 500, 65], [2, 900, 300], [0, 4, 3], [2, 0, 3]]
    .map(([rows, width, out]) => ({
      shapes: [[rows, width], packedShape([out, width])],
      params: { out },
      dtypes: ["f32", "f32"],
    })),
};

function check(x: View, packed: View, out: number): void {
  const width = x.shape.at(-1) ?? 0, wanted = packedShape([out, width]);
  if (String(packed.shape) !== String(wanted)) {
    throw new ShapeError(
      `linearPacked: the weights do not fit the input, ${formatShape(packed.shape)} and ${
        formatShape(x.shape)
      } (${packed.shape[1]} vs ${width} inputs). Pack them with packRows.`,
    );
  }
  if (packed.dtype !== x.dtype || (x.dtype !== "f32" && x.dtype !== "f64")) {
    throw new DTypeError(
      `linearPacked: the input is ${x.dtype}, the weights ${packed.dtype}. Pass both as f32.`,
    );
  }
}
