/**
 * Products of 8-bit floats (e4m3: Micikevicius et al., "FP8 formats for deep learning", 2022), which the tensor cores of
 * newer GPUs multiply directly. A device without them computes the same numbers more slowly.
 *
 * @module
 */
import { e4m3ToNumber, isFloating, numberToE4m3 } from "../dtype.ts";
import { DTypeError, ShapeError } from "../errors.ts";
import { formatShape, type Shape, sizeOf } from "../layout.ts";
import type { NumberTensor, Op, Sample, Unary, View } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { blockForEach, overElements } from "./launch.ts";

const source = new URL("./fp8.c", import.meta.url);
const cudaSource = new URL("./fp8.cu", import.meta.url);
/** The largest e4m3 number. */
const largest = 448;
/** Tensor cores read 16 bytes at a time, so both sizes of a matrix are multiples of it. */
const grain = 16;

const padded = (size: number): number => Math.ceil(size / grain) * grain;

/** The shape of quantised weights [out, in]: rows and columns are filled up with zeros. */
function paddedShape([out, width]: Shape): Shape {
  return [padded(out), padded(width)];
}

/** Row `row` as e4m3 numbers, and what they are to be multiplied by, computed in f32. */
function quantize({ data, shape }: NumberTensor, row: number): { q: number[]; scale: number } {
  const width = shape.at(-1)!, values = [...data.subarray(row * width, (row + 1) * width)];
  const top = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const inverse = top > 0 && top < Infinity ? Math.fround(largest / top) : 0;
  const q = values.map((value) => e4m3ToNumber(numberToE4m3(Math.fround(value * inverse))));
  return { q, scale: Math.fround(top / largest) };
}

/**
 * Weights [out, in] as e4m3 numbers with a scale for each output: w ≈ scale · q with scale = max |w| / 448. Outputs q, with
 * rows and columns up to the next multiples of 16, and the scales, f32 [out].
 */
export const quantizeFp8: Unary<void> = {
  name: "quantizeFp8",
  outputs: ([{ shape, dtype }]) => {
    if (shape.length !== 2 || !isFloating(dtype)) {
      throw new ShapeError(
        `quantizeFp8: weights [out, in] are needed, ${
          formatShape(shape)
        } ${dtype} (${shape.length} vs 2 axes).`,
      );
    }
    return [{ shape: paddedShape(shape), dtype: "e4m3" }, { shape: [shape[0]], dtype: "f32" }];
  },
  reference: ([weight], [numbers, scales]) => {
    const [out] = weight.shape, width = numbers.shape[1];
    numbers.data.fill(0);
    for (let row = 0; row < out; row++) {
      const { q, scale } = quantize(weight, row);
      q.forEach((number, i) => numbers.data[row * width + i] = number);
      scales.data[row] = scale;
    }
  },
  kernel: {
    source,
    entry: "quantize_fp8",
    cuda: { source: cudaSource, launches: ([{ shape: [out] }]) => [blockForEach(padded(out))] },
    arguments: (to, [weight], results) => {
      for (const x of [...results, weight]) to.address(addressOf(x));
      to.integer(weight.shape[0]).integer(weight.shape[1]);
    },
  },
  samples: [[3, 5], [1, 1], [16, 16], [40, 33], [64, 300], [0, 4], [3, 0]].map((shape) => ({
    shapes: [shape],
    params: undefined,
  })),
};

/** Rows, and what `quantizeFp8` made of weights. */
export type LinearFp8Inputs = readonly [x: Tensor, numbers: Tensor, scales: Tensor];

/** How `linearFp8` gives its results. */
export interface LinearFp8Params {
  /** As f32, whatever x is. */
  readonly wide: boolean;
}

/**
 * y = x·Wᵀ where each row of x is quantised like the rows of W: y = (Σ qₓ·q) · scaleₓ · scale, with f32 sums. x: [..., in],
 * W: [out, in] as `quantizeFp8` makes it → [..., out], of the type of x or f32. A GPU must have compute capability 8.9.
 */
export const linearFp8: Op<LinearFp8Params, LinearFp8Inputs> = {
  name: "linearFp8",
  outputs: ([x, numbers, scales], { wide }) => {
    check(x, numbers, scales);
    return [{ shape: x.shape.with(-1, scales.shape[0]), dtype: wide ? "f32" : x.dtype }];
  },
  reference: ([x, numbers, scales], [y]) => {
    const [out] = scales.shape, width = x.shape.at(-1)!, step = numbers.shape[1];
    const rows = sizeOf(x.shape.slice(0, -1));
    for (let row = 0; row < rows; row++) {
      const { q, scale } = quantize(x, row);
      for (let o = 0; o < out; o++) {
        let sum = 0;
        for (let i = 0; i < width; i++) sum += q[i] * numbers.data[o * step + i];
        y.data[row * out + o] = sum * scale * scales.data[o];
      }
    }
  },
  kernel: {
    source,
    entry: "linear_fp8",
    cuda: {
      source: cudaSource,
      launches: ([{ shape }, weights]) => {
        const rows = sizeOf(shape.slice(0, -1)), { x } = scratchOf(rows, weights);
        const product = { weights, rows, x, y: 0 };
        return [
          { ...blockForEach(rows), entry: "linear_fp8_rows" },
          ...weights.shape[1] > 0 ? [product] : [],
          overElements(rows * weights.shape[0], 1),
        ];
      },
      scratch: ([{ shape }, weights]) => scratchOf(sizeOf(shape.slice(0, -1)), weights).bytes,
    },
    arguments: (to, inputs, [y], { wide }) => {
      const [{ shape }, , { shape: [out] }] = inputs;
      for (const x of [y, ...inputs]) to.address(addressOf(x));
      to.integer(sizeOf(shape.slice(0, -1))).integer(out).integer(shape.at(-1)!);
      to.integer(wide ? 1 : 0);
    },
  },
  samples: samplesOf(),
};

/** Working space on a GPU: sums, f32 [rows, outs]; then from byte `x` on e4m3 [rows, width], then scales, f32 [rows]. */
function scratchOf(rows: number, { shape: [outs, width] }: View): { x: number; bytes: number } {
  const x = 4 * rows * outs;
  return { x, bytes: x + rows * width + 4 * rows };
}

function check(x: View, numbers: View, scales: View): void {
  const width = x.shape.at(-1) ?? 0, wanted = paddedShape([scales.shape[0], width]);
  if (String(numbers.shape) !== String(wanted)) {
    throw new ShapeError(
      `linearFp8: the weights do not fit the input, ${formatShape(numbers.shape)} and ${
        formatShape(x.shape)
      } (${numbers.shape[1]} vs ${wanted[1]}). Make them with quantizeFp8.`,
    );
  }
  if (!isFloating(x.dtype) || numbers.dtype !== "e4m3" || scales.dtype !== "f32") {
    throw new DTypeError(
      `linearFp8: the input is ${x.dtype}, the weights ${numbers.dtype}, ${scales.dtype}. ` +
        `Pass f32 or bf16, and what quantizeFp8 returns.`,
    );
  }
}

function samplesOf(): Sample<LinearFp8Params, LinearFp8Inputs>[] {
  // rows, in, out
  const sizes = [[1, 16, 16], [1, 1, 1], [5, 33, 40], [13, 70, 65], [2, 300, 100], [0, 4, 3], [
    2,
    0,
    3,
  ]];
  return sizes.map(([rows, width, out], i) => ({
    shapes: [[rows, width], paddedShape([out, width]), [out]],
    params: { wide: i % 2 === 1 },
    dtypes: [null, "e4m3", "f32"],
    draw: (input, uniform) => input === 2 ? (1 + uniform) / 4 : 4 * uniform - 2,
  }));
}
