/**
 * Products with weights that lie in the order in which they are read.
 *
 * @module
 */
import { DTypeError, ShapeError } from "../errors.ts";
import { formatShape, type Shape, sizeOf } from "../layout.ts";
import type { Launch, Op, Unary, View } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { blockThreads, overElements } from "./launch.ts";

const source = new URL("./packed.c", import.meta.url);
const cudaSource = new URL("./packed.cu", import.meta.url);
/** Outputs of a panel, and of what one maximum is taken of. */
const panel = 32, maximaBlock = 256;

/** How packed weights are laid out. */
export interface PackParams {
  /**
   * Whether the first half of the outputs are gates of the second half: a panel then holds 16 gates and the 16 outputs that
   * they let through.
   */
  readonly gated: boolean;
}

/** rows, in, out; more inputs than one block, more rows than one tile, rows for each thread. */
const cases: readonly (readonly [number, number, number])[] = [
  ...[[1, 4, 32], [1, 1, 1], [5, 33, 70], [33, 500, 65], [2, 900, 300], [0, 4, 3], [2, 0, 3]],
  ...[[70, 500, 66], [90, 300, 70]],
] as const;

/** Whether outputs may be gated, and are not. */
function layoutsOf(out: number): boolean[] {
  return out % 2 === 0 ? [false, true] : [false];
}

/** The shape of packed weights [out, in]: [panels, in, 32 outputs]. */
function packedShape([out, width]: Shape): Shape {
  return [Math.ceil(out / panel), width, panel];
}

/** The panel of an output of `outs`, and its place there. */
function placeOf(out: number, outs: number, gated: boolean): [panel: number, lane: number] {
  if (!gated) return [Math.floor(out / panel), out % panel];
  const half = panel / 2, unit = out % (outs / 2), isGate = out < outs / 2;
  return [Math.floor(unit / half), unit % half + (isGate ? 0 : half)];
}

/** Where weight [out, in] of `outs` outputs lies among packed ones. */
function packedIndex(
  [out, input]: readonly [number, number],
  [outs, width]: Shape,
  gated: boolean,
): number {
  const [at, lane] = placeOf(out, outs, gated);
  return (at * width + input) * panel + lane;
}

/**
 * f32 weights [out, in] in panels of 32 outputs, input after input: [⌈out / 32⌉, in, 32], with zeros where none are left.
 */
export const packRows: Unary<PackParams> = {
  name: "packRows",
  outputs: ([{ shape, dtype }], { gated }) => {
    if (shape.length !== 2 || (dtype !== "f32" && dtype !== "f64")) {
      throw new ShapeError(
        `packRows: f32 weights [out, in] are needed, ${
          formatShape(shape)
        } ${dtype} (${shape.length} axes).`,
      );
    }
    checkHalves("packRows", shape[0], gated);
    return [{ shape: packedShape(shape), dtype }];
  },
  reference: ([{ shape, data }], [packed], { gated }) => {
    const [out, width] = shape;
    packed.data.fill(0);
    for (let o = 0; o < out; o++) {
      for (let i = 0; i < width; i++) {
        packed.data[packedIndex([o, i], shape, gated)] = data[o * width + i];
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
    arguments: (to, [weight], [packed], { gated }) => {
      to.address(addressOf(packed)).address(addressOf(weight));
      to.integer(weight.shape[0]).integer(weight.shape[1]).integer(Number(gated));
    },
  },
  samples: [[3, 5], [1, 1], [32, 7], [100, 33], [0, 4], [3, 0]].flatMap((shape) =>
    layoutsOf(shape[0]).map((gated) => ({ shapes: [shape], params: { gated }, dtypes: ["f32"] }))
  ),
};

/** What packed weights are. */
export interface LinearPackedParams extends PackParams {
  /** Outputs; the last panel may have room for more. */
  readonly out: number;
  /** Whether the largest of each 256 outputs are wanted, too. Not where outputs are gated. */
  readonly maxima: boolean;
}

/** The shape of the largest of each 256 numbers of the last axis. */
export function maximaShape(shape: Shape): Shape {
  return shape.with(-1, Math.ceil(shape.at(-1)! / maximaBlock));
}

/**
 * y = x·Wᵀ with the bits of `linear`. x: f32 [..., in], W: f32 [out, in] as `packRows` packs it → [..., out]. Where outputs
 * are gated, y = silu(gate)·up as `swigluHalves` makes it of them: [..., out / 2]. Where maxima are wanted, also the largest
 * of each 256 outputs, NaN where one is: [..., ⌈out / 256⌉].
 */
export const linearPacked: Op<LinearPackedParams, readonly [x: Tensor, packed: Tensor]> = {
  name: "linearPacked",
  outputs: ([x, packed], params) => {
    check(x, packed, params);
    const y = { shape: x.shape.with(-1, columnsOf(params)), dtype: x.dtype };
    return params.maxima ? [y, { shape: maximaShape(y.shape), dtype: x.dtype }] : [y];
  },
  reference: ([x, packed], [y, maxima], params) => {
    const { out, gated } = params, width = x.shape.at(-1)!;
    const rows = sizeOf(x.shape.slice(0, -1)), columns = columnsOf(params);
    const product = (row: number, o: number): number => {
      let sum = 0;
      for (let i = 0; i < width; i++) {
        sum += x.data[row * width + i] * packed.data[packedIndex([o, i], [out, width], gated)];
      }
      return sum;
    };
    for (let row = 0; row < rows; row++) {
      for (let o = 0; o < columns; o++) {
        const first = product(row, o);
        y.data[row * columns + o] = gated
          ? first / (1 + Math.exp(-first)) * product(row, columns + o)
          : first;
      }
    }
    maxima?.data.forEach((_, i) => {
      const [blocks] = maxima.shape.slice(-1), row = Math.floor(i / blocks);
      const first = row * columns + i % blocks * maximaBlock;
      const end = Math.min(first + maximaBlock, (row + 1) * columns);
      maxima.data[i] = Math.max(...y.data.subarray(first, end));
    });
  },
  kernel: {
    source,
    entry: "linear_packed",
    cuda: {
      source: cudaSource,
      launches: ([x, packed], [, maxima]) => {
        const rows = sizeOf(x.shape.slice(0, -1));
        const product: Launch = {
          blocks: [packed.shape[0], Math.ceil(rows / 8), 1],
          threads: blockThreads,
        };
        if (!maxima) return [product];
        return [product, {
          entry: "linear_packed_maxima",
          blocks: [maxima.shape.at(-1)!, rows, 1],
          threads: 32,
        }];
      },
    },
    arguments: (to, [x, packed], [y, maxima], params) => {
      to.address(addressOf(y)).address(addressOf(x)).address(addressOf(packed));
      to.integer(sizeOf(x.shape.slice(0, -1))).integer(columnsOf(params));
      to.integer(x.shape.at(-1)!).integer(Number(params.gated));
      if (maxima) to.address(addressOf(maxima));
      else to.integer(0);
    },
  },
  samples: cases.flatMap(([rows, width, out]) =>
    [...layoutsOf(out).map((gated) => ({ gated, maxima: false })), { gated: false, maxima: true }]
      .map((how) => ({
        shapes: [[rows, width], packedShape([out, width])],
        params: { out, ...how },
        dtypes: ["f32", "f32"],
      }))
  ),
};

/** Columns of a product. */
function columnsOf({ out, gated }: LinearPackedParams): number {
  return gated ? out / 2 : out;
}

function checkHalves(op: string, out: number, gated: boolean): void {
  if (!gated || out % 2 === 0) return;
  const half = Math.floor(out / 2);
  throw new ShapeError(
    `${op}: ${out} outputs are not gates and as many others (${half + 1} vs ${half}). Pass both.`,
  );
}

function check(x: View, packed: View, { out, gated }: LinearPackedParams): void {
  checkHalves("linearPacked", out, gated);
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
