/**
 * Products with weights of 8 bits.
 *
 * @module
 */
import { isFloating } from "../dtype.ts";
import { DTypeError, ShapeError } from "../errors.ts";
import { formatShape, type Shape, sizeOf } from "../layout.ts";
import type { NumberTensor, Op, Sample, Unary, View } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { blockForEach } from "./launch.ts";

const source = new URL("./int8.c", import.meta.url);
const cudaSource = new URL("./int8.cu", import.meta.url);
/** Outputs of a block of packed weights, and inputs of a group. */
const outputs = 16, group = 4;
/** Sums of more products may not fit 32 bits. */
const mostInputs = 65536;

/** The shape of packed weights [out, in]: [blocks of outputs, groups of inputs, 16 outputs, 4 inputs]. */
export function packedShape([out, width]: Shape): Shape {
  return [Math.ceil(out / outputs), Math.ceil(width / group), outputs, group];
}

/** Where weight [out, in] lies among packed ones, which have `groups` groups. */
function packedIndex(out: number, input: number, groups: number): number {
  const block = Math.floor(out / outputs) * groups + Math.floor(input / group);
  return (block * outputs + out % outputs) * group + input % group;
}

/** Row `row` as whole numbers of at most 127 steps, and the size of a step, computed in f32. */
function quantize({ data, shape }: NumberTensor, row: number): { q: number[]; scale: number } {
  const width = shape.at(-1)!, values = [...data.subarray(row * width, (row + 1) * width)];
  const top = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const inverse = top > 0 && top < Infinity ? Math.fround(127 / top) : 0;
  const q = values.map((value) => roundHalfEven(Math.fround(value * inverse)) || 0);
  return { q, scale: Math.fround(top / 127) };
}

function roundHalfEven(x: number): number {
  const low = Math.floor(x), rest = x - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low;
}

/**
 * Weights [out, in] as 8-bit numbers with a scale for each output: w ≈ scale · q with scale = max |w| / 127. Outputs the
 * packed q, the scales, f32 [out], and the sum of q of each output, i32 [out].
 */
export const quantizeRows: Unary<void> = {
  name: "quantizeRows",
  outputs: ([{ shape, dtype }]) => {
    if (shape.length !== 2 || shape[1] > mostInputs || !isFloating(dtype)) {
      throw new ShapeError(
        `quantizeRows: weights [out, in] with at most ${mostInputs} inputs are needed, ${
          formatShape(shape)
        } ${dtype} (${shape.at(-1)} vs ${mostInputs}).`,
      );
    }
    const [out] = shape;
    return [
      { shape: packedShape(shape), dtype: "i8" },
      { shape: [out], dtype: "f32" },
      { shape: [out], dtype: "i32" },
    ];
  },
  reference: ([weight], [packed, scales, sums]) => {
    const [out] = weight.shape, groups = packed.shape[1];
    packed.data.fill(0);
    for (let row = 0; row < out; row++) {
      const { q, scale } = quantize(weight, row);
      q.forEach((number, i) => packed.data[packedIndex(row, i, groups)] = number);
      scales.data[row] = scale;
      sums.data[row] = q.reduce((a, b) => a + b, 0);
    }
  },
  kernel: {
    source,
    entry: "quantize_rows",
    cuda: {
      source: cudaSource,
      launches: ([{ shape: [out] }]) => [blockForEach(Math.ceil(out / outputs) * outputs)],
    },
    arguments: (to, [weight], results) => {
      for (const x of [...results, weight]) to.address(addressOf(x));
      to.integer(weight.shape[0]).integer(weight.shape[1]);
    },
  },
  samples: [[3, 5], [1, 1], [16, 4], [40, 33], [64, 300], [0, 4], [3, 0]].map((shape) => ({
    shapes: [shape],
    params: undefined,
  })),
};

/** Rows, and what `quantizeRows` made of weights. */
export type LinearInt8Inputs = readonly [x: Tensor, packed: Tensor, scales: Tensor, sums: Tensor];

/**
 * y = x·Wᵀ where each row of x is quantised like the rows of W: y = (Σ qₓ·q) · scaleₓ · scale. The sums are whole numbers,
 * so that they are the same on every machine. x: [..., in], W: [out, in] as `quantizeRows` packs it → [..., out].
 */
export const linearInt8: Op<void, LinearInt8Inputs> = {
  name: "linearInt8",
  outputs: ([x, packed, scales, sums]) => {
    check(x, packed, scales, sums);
    return [{ shape: x.shape.with(-1, scales.shape[0]), dtype: x.dtype }];
  },
  reference: ([x, packed, scales], [y]) => {
    const [out] = scales.shape, groups = packed.shape[1], width = x.shape.at(-1)!;
    const rows = sizeOf(x.shape.slice(0, -1));
    for (let row = 0; row < rows; row++) {
      const { q, scale } = quantize(x, row);
      for (let o = 0; o < out; o++) {
        let sum = 0;
        for (let i = 0; i < width; i++) sum += q[i] * packed.data[packedIndex(o, i, groups)];
        y.data[row * out + o] = sum * scale * scales.data[o];
      }
    }
  },
  kernel: {
    source,
    entry: "linear_int8",
    cuda: {
      source: cudaSource,
      launches: ([{ shape }, , { shape: [out] }]) => {
        const rows = sizeOf(shape.slice(0, -1));
        return [
          { ...blockForEach(rows), entry: "linear_int8_rows" },
          { ...blockForEach(0), blocks: [Math.ceil(out / outputs), Math.ceil(rows / 8), 1] },
        ];
      },
      scratch: ([{ shape }]) => {
        const rows = sizeOf(shape.slice(0, -1)), width = shape.at(-1)!;
        return rows * (4 + Math.ceil(width / group) * group);
      },
    },
    arguments: (to, inputs, [y]) => {
      const [{ shape }, , { shape: [out] }] = inputs;
      for (const x of [y, ...inputs]) to.address(addressOf(x));
      to.integer(sizeOf(shape.slice(0, -1))).integer(out).integer(shape.at(-1)!);
    },
  },
  samples: samplesOf(),
};

function check(x: View, packed: View, scales: View, sums: View): void {
  const width = x.shape.at(-1) ?? 0, [out] = scales.shape;
  const wanted = packedShape([out, width]);
  if (String(packed.shape) !== String(wanted) || String(sums.shape) !== String(scales.shape)) {
    throw new ShapeError(
      `linearInt8: the weights do not fit the input, ${formatShape(packed.shape)} and ${
        formatShape(x.shape)
      } (${packed.shape[1]} vs ${wanted[1]} groups). Pack them with quantizeRows.`,
    );
  }
  const types = [packed, scales, sums].map(({ dtype }) => dtype).join(", ");
  if (!isFloating(x.dtype) || types !== "i8, f32, i32") {
    throw new DTypeError(
      `linearInt8: the input is ${x.dtype}, the weights ${types}. Pass f32 or bf16, and what quantizeRows returns.`,
    );
  }
}

function samplesOf(): Sample<void, LinearInt8Inputs>[] {
  // rows, in, out
  const sizes = [[1, 4, 16], [1, 1, 1], [5, 33, 40], [13, 70, 65], [2, 300, 200], [0, 4, 3], [
    2,
    0,
    3,
  ]];
  return sizes.map(([rows, width, out]) => ({
    shapes: [[rows, width], packedShape([out, width]), [out], [out]],
    params: undefined,
    dtypes: [null, "i8", "f32", "i32"],
    draw: (input, uniform, index) => {
      const groups = Math.ceil(width / group);
      // Weights of which the sums are known: those of output o are all o % 100 − 50.
      const weight = (o: number): number => o < out ? o % 100 - 50 : 0;
      if (input === 1) {
        const block = Math.floor(index / (groups * outputs * group));
        const at = Math.floor(index / (outputs * group)) % groups * group + index % group;
        return at < width ? weight(block * outputs + Math.floor(index / group) % outputs) : 0;
      }
      if (input === 2) return (1 + uniform) / 64;
      return input === 3 ? width * weight(index) : 4 * uniform - 2;
    },
  }));
}
