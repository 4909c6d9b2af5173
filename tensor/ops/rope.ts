/**
 * Rotary positions (Su et al., "RoFormer", 2021).
 *
 * @module
 */
import { isFloating } from "../dtype.ts";
import { DTypeError, IndexError, ShapeError } from "../errors.ts";
import { formatShape, isContiguous, type Shape, sizeOf } from "../layout.ts";
import type { NumberTensor, Op, Sample, TensorSpec, View } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { headSizes, isHeadContiguous } from "./heads.ts";
import { readIntegers } from "./integers.ts";
import { blockForEach } from "./launch.ts";

/**
 * Which elements of a head turn together: "half" pairs element i with i + pairs (Hugging Face, NeoX), "interleaved" pairs
 * 2i with 2i + 1 (the original, llama2.c, GGUF).
 */
export type RopeStyle = "half" | "interleaved";

/** How `Tensor.rope()` turns heads. */
export interface RopeOptions {
  /** Which elements turn together: i and i + pairs ("half", the default), or 2i and 2i + 1 ("interleaved"). */
  readonly style?: RopeStyle;
  /** Position of the first token, 0 by default; or that of every token, i32 [time] or [batch, time]. */
  readonly positions?: number | Tensor;
}

/** How to turn. */
export interface RopeParams {
  readonly style: RopeStyle;
  /** Position of the first token, where positions are not given as a tensor. */
  readonly offset: number;
  /** Turn back. */
  readonly inverse: boolean;
}

/** x, the table of `ropeTable()`, and positions if they are not a run from an offset. */
export type RopeInputs = readonly [Tensor, Tensor] | readonly [Tensor, Tensor, Tensor];

/**
 * Turns the pair i of each head by the angle whose cosine and sine the table holds for the token's position; the elements
 * after the pairs pass through. x: [batch, time, heads, headDim] or [time, heads, headDim]; table: f32 [length, pairs, 2];
 * positions: i32 [time] or [batch, time].
 */
export const rope: Op<RopeParams, RopeInputs> = {
  name: "rope",
  outputs: (inputs, params) => {
    const [x, table, positions] = inputs as readonly View[];
    checkHeads(x, table);
    if (positions) checkPositions(x, positions);
    else checkOffset(x, table, params.offset);
    return [{ shape: x.shape, dtype: x.dtype }];
  },
  reference: (inputs, [out], { style, offset, inverse }) => {
    const [x, table, positions] = inputs as readonly NumberTensor[];
    const { batch, time, heads, headDim } = headSizes(x.shape);
    const [length, pairs] = table.shape, direction = inverse ? -1 : 1;
    out.data.set(x.data);
    for (let token = 0; token < batch * time; token++) {
      const position = positions
        ? positions.data[token % positions.data.length]
        : offset + token % time;
      if (position < 0 || position >= length) throw outside(position, table);
      for (let head = 0; head < heads; head++) {
        const start = (token * heads + head) * headDim;
        for (let i = 0; i < pairs; i++) {
          const at = (position * pairs + i) * 2;
          const cosine = table.data[at], sine = direction * table.data[at + 1];
          const first = start + (style === "half" ? i : 2 * i);
          const second = start + (style === "half" ? pairs + i : 2 * i + 1);
          const a = x.data[first], b = x.data[second];
          out.data[first] = a * cosine - b * sine;
          out.data[second] = a * sine + b * cosine;
        }
      }
    }
  },
  kernel: {
    source: new URL("./rope.c", import.meta.url),
    entry: "rope",
    cuda: {
      source: new URL("./rope.cu", import.meta.url),
      launches: ([x]) => [blockForEach(sizeOf(x.shape.slice(0, -2)))],
    },
    strided: (x, input) => input === 0 ? isHeadContiguous(x) : isContiguous(x),
    arguments: (to, inputs, [out], { style, offset, inverse }) => {
      const [x, table, positions] = inputs as readonly View[];
      const { batch, time, heads, headDim } = headSizes(x.shape);
      to.address(addressOf(out)).address(addressOf(x)).address(addressOf(table));
      to.address(positions ? addressOf(positions) : 0).integer(offset);
      to.integer(batch).integer(time).integer(heads).integer(headDim);
      const [byTime, byHead] = x.strides.slice(-3);
      to.integer(x.strides.length === 4 ? x.strides[0] : 0).integer(byTime).integer(byHead);
      to.integer(table.shape[0]).integer(table.shape[1]);
      to.integer(positions?.shape.length === 2 ? time : 0);
      to.integer(style === "interleaved" ? 1 : 0).float(inverse ? -1 : 1);
    },
    error: (_, inputs) => {
      const [, table, positions] = inputs as readonly View[];
      const length = table.shape[0];
      return outside(readIntegers(positions).find((p) => p < 0 || p >= length)!, table);
    },
  },
  saves: { inputs: [1, 2] },
  constantInputs: [1],
  vjp: ([g], { inputs, params, apply }) => {
    const [, ...others] = inputs;
    const [dx] = apply(rope, [g, ...others] as RopeInputs, {
      ...params,
      inverse: !params.inverse,
    });
    return [dx, null, null].slice(0, inputs.length) as never;
  },
  samples: ropeSamples(),
};

function ropeSamples(): Sample<RopeParams, RopeInputs>[] {
  const shapes: readonly (readonly [x: Shape, table: Shape, positions?: Shape])[] = [
    [[1, 1, 1, 2], [1, 1, 2]],
    [[2, 3, 2, 10], [5, 5, 2]],
    [[5, 3, 70], [9, 16, 2]],
    [[2, 40, 3, 64], [50, 32, 2], [40]],
    [[2, 3, 2, 9], [4, 4, 2], [2, 3]],
    [[4, 1, 6], [4, 0, 2], [4]],
    [[2, 0, 2, 4], [3, 2, 2]],
    [[3, 0, 4], [3, 2, 2]],
  ];
  return shapes.flatMap((given) =>
    (["half", "interleaved"] as const).map((style) => ({
      shapes: given as unknown as Sample<RopeParams, RopeInputs>["shapes"],
      params: { style, offset: given[0].at(-3)! < given[1][0] ? 1 : 0, inverse: false },
      dtypes: ([null, "f32", "i32"] as const).slice(0, given.length),
      draw: (input, uniform) => input === 2 ? Math.floor(uniform * given[1][0]) : 4 * uniform - 2,
    }))
  );
}

function checkHeads(x: TensorSpec, table: TensorSpec): void {
  if (x.shape.length !== 3 && x.shape.length !== 4) {
    throw new ShapeError(
      `rope: ${
        formatShape(x.shape)
      } is neither [batch, time, heads, headDim] nor [time, heads, headDim] ` +
        `(${x.shape.length} axes). reshape() it.`,
    );
  }
  if (!isFloating(x.dtype) || table.dtype !== "f32") {
    throw new DTypeError(
      `rope: the input is ${x.dtype}, the table ${table.dtype}. Pass floating elements, and an f32 ropeTable().`,
    );
  }
  const headDim = x.shape[x.shape.length - 1], [, pairs, two] = table.shape;
  if (table.shape.length !== 3 || two !== 2 || 2 * pairs > headDim) {
    throw new ShapeError(
      `rope: the table does not fit the heads, ${formatShape(table.shape)} and ${
        formatShape(x.shape)
      } (${2 * pairs} vs ${headDim}). Make it with ropeTable() for this headDim.`,
    );
  }
}

function checkPositions(x: View, positions: View): void {
  if (positions.dtype !== "i32") {
    throw new DTypeError(`rope: positions are ${positions.dtype}. Pass i32.`);
  }
  const { batch, time } = headSizes(x.shape), { shape } = positions;
  const fits = shape.length === 1
    ? shape[0] === time
    : x.shape.length === 4 && shape.length === 2 && shape[0] === batch && shape[1] === time;
  if (fits) return;
  throw new ShapeError(
    `rope: positions do not fit the tokens, ${formatShape(shape)} and ${formatShape(x.shape)} (${
      shape.at(-1)
    } vs ${time}). Pass [time] or [batch, time].`,
  );
}

function checkOffset(x: View, table: View, offset: number): void {
  const { time } = headSizes(x.shape), [length] = table.shape;
  if (Number.isSafeInteger(offset) && offset >= 0 && (time === 0 || offset + time <= length)) {
    return;
  }
  throw outside(offset >= 0 ? offset + Math.max(time - 1, 0) : offset, table);
}

function outside(position: number, { shape }: TensorSpec): IndexError {
  return new IndexError(
    `rope: position ${position} is not in the table, ${formatShape(shape)} (${position} vs ${
      shape[0]
    }). Give ropeTable() more positions.`,
  );
}
