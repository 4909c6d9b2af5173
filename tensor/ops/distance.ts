/**
 * Distances between rows: the last axis.
 *
 * @module
 */
import { isFloating } from "../dtype.ts";
import { DTypeError, ShapeError } from "../errors.ts";
import { formatShape, sameShape, type Shape, sizeOf } from "../layout.ts";
import type { Binary, NumberTensor, Sample, TensorSpec, Ternary } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { overRows } from "./launch.ts";

/** How to measure an angle. */
export interface CosineParams {
  /** The least norm to divide by. */
  readonly eps: number;
}

const source = new URL("./distance.c", import.meta.url);
const cudaSource = new URL("./distance.cu", import.meta.url);

/** One number for each row: f32, or f64 where the rows are. */
function perRow({ shape, dtype }: TensorSpec): TensorSpec {
  return { shape: shape.slice(0, -1), dtype: dtype === "f64" ? "f64" : "f32" };
}

/** Throw unless both are floating, and alike in shape and element type. */
function check(op: string, x: TensorSpec, y: TensorSpec): void {
  const both = `${formatShape(x.shape)} ${x.dtype} and ${formatShape(y.shape)} ${y.dtype}`;
  if (x.shape.length === 0 || !sameShape(x.shape, y.shape)) {
    throw new ShapeError(`${op}: rows of one shape [..., n] are needed, ${both}. Reshape one.`);
  }
  if (x.dtype !== y.dtype || !isFloating(x.dtype)) {
    throw new DTypeError(`${op}: one floating type is needed, ${both}. Cast one.`);
  }
}

function rowsOf(shape: Shape): { rows: number; n: number } {
  return { rows: sizeOf(shape.slice(0, -1)), n: shape.at(-1)! };
}

const shapes: readonly Shape[] = [[1, 1], [7], [3, 5], [2, 3, 33], [130, 300], [0, 4], [3, 0]];

const pairs = <P>(params: P): Sample<P, readonly [Tensor, Tensor]>[] =>
  shapes.map((shape) => ({ shapes: [shape, shape], params }));

const triples = <P>(params: P): Sample<P, readonly [Tensor, Tensor, Tensor]>[] =>
  shapes.map((shape) => ({
    shapes: [shape, shape, shape.slice(0, -1)],
    dtypes: [null, null, "f32"],
    params,
  }));

/** x, y, and the gradient of each row's error → 2·(x − y)·g. */
const squaredErrorBackward: Ternary = {
  name: "squaredErrorBackward",
  outputs: ([{ shape, dtype }]) => [{ shape, dtype }],
  reference: ([x, y, g], [dx]) => {
    const { n } = rowsOf(x.shape);
    for (let i = 0; i < x.data.length; i++) {
      dx.data[i] = 2 * (x.data[i] - y.data[i]) * g.data[Math.floor(i / n)];
    }
  },
  kernel: {
    source,
    entry: "squared_error_backward",
    cuda: {
      source: cudaSource,
      launches: ([x]) => [overRows(rowsOf(x.shape).rows, rowsOf(x.shape).n)],
    },
    arguments: (to, inputs, [dx]) => {
      const { rows, n } = rowsOf(dx.shape);
      for (const x of [dx, ...inputs]) to.address(addressOf(x));
      to.integer(rows).integer(n);
    },
  },
  samples: triples(undefined),
};

/** Rows of x and y, [..., n] → Σ (x − y)² and Σ y² of each row, f32. No gradient flows through the second. */
export const squaredError: Binary = {
  name: "squaredError",
  outputs: ([x, y]) => {
    check("squaredError", x, y);
    return [perRow(x), perRow(x)];
  },
  reference: ([x, y], [error, square]) => {
    const { n } = rowsOf(x.shape);
    error.data.fill(0);
    square.data.fill(0);
    for (let i = 0; i < x.data.length; i++) {
      error.data[Math.floor(i / n)] += (x.data[i] - y.data[i]) ** 2;
      square.data[Math.floor(i / n)] += y.data[i] ** 2;
    }
  },
  kernel: {
    source,
    entry: "squared_error",
    cuda: {
      source: cudaSource,
      launches: ([x]) => [overRows(rowsOf(x.shape).rows, rowsOf(x.shape).n)],
    },
    arguments: (to, inputs, outputs) => {
      const { rows, n } = rowsOf(inputs[0].shape);
      for (const x of [...outputs, ...inputs]) to.address(addressOf(x));
      to.integer(rows).integer(n);
    },
  },
  companions: [squaredErrorBackward],
  constantOutputs: [1],
  saves: { inputs: [0, 1] },
  vjp: ([g], { inputs: [x, y], needs, apply }) => [
    needs[0] ? apply(squaredErrorBackward, [x, y, g], undefined)[0] : null,
    needs[1] ? apply(squaredErrorBackward, [y, x, g], undefined)[0] : null,
  ],
  samples: pairs(undefined),
};

/** Cosine of the angle between rows, and norms, at least eps. */
function angleBetween(
  x: NumberTensor,
  y: NumberTensor,
  row: number,
  eps: number,
): { cosine: number; normX: number; normY: number; longX: boolean } {
  const { n } = rowsOf(x.shape);
  let xx = 0, yy = 0, xy = 0;
  for (let i = row * n; i < (row + 1) * n; i++) {
    xx += x.data[i] ** 2;
    yy += y.data[i] ** 2;
    xy += x.data[i] * y.data[i];
  }
  const normX = Math.max(Math.sqrt(xx), eps), normY = Math.max(Math.sqrt(yy), eps);
  return { cosine: xy / (normX * normY), normX, normY, longX: Math.sqrt(xx) > eps };
}

/** x, y, and the gradient of each row's distance → g·(cos·x/‖x‖² − y/(‖x‖·‖y‖)). */
const cosineDistanceBackward: Ternary<CosineParams> = {
  name: "cosineDistanceBackward",
  outputs: ([{ shape, dtype }]) => [{ shape, dtype }],
  reference: ([x, y, g], [dx], { eps }) => {
    const { rows, n } = rowsOf(x.shape);
    for (let row = 0; row < rows; row++) {
      const { cosine, normX, normY, longX } = angleBetween(x, y, row, eps);
      for (let i = row * n; i < (row + 1) * n; i++) {
        const alongX = longX ? cosine * x.data[i] / normX ** 2 : 0; // else the divisor is constant
        dx.data[i] = g.data[row] * (alongX - y.data[i] / (normX * normY));
      }
    }
  },
  kernel: {
    source,
    entry: "cosine_distance_backward",
    cuda: {
      source: cudaSource,
      launches: ([x]) => [overRows(rowsOf(x.shape).rows, rowsOf(x.shape).n)],
    },
    arguments: (to, inputs, [dx], { eps }) => {
      const { rows, n } = rowsOf(dx.shape);
      for (const x of [dx, ...inputs]) to.address(addressOf(x));
      to.integer(rows).integer(n).float(eps);
    },
  },
  samples: [...triples({ eps: 1e-8 }), ...triples({ eps: 4 })],
};

/** Rows of x and y, [..., n] → 1 − x·y / (max(‖x‖, eps)·max(‖y‖, eps)) of each row, f32. */
export const cosineDistance: Binary<CosineParams> = {
  name: "cosineDistance",
  outputs: ([x, y]) => {
    check("cosineDistance", x, y);
    return [perRow(x)];
  },
  reference: ([x, y], [distance], { eps }) => {
    for (let row = 0; row < distance.data.length; row++) {
      distance.data[row] = 1 - angleBetween(x, y, row, eps).cosine;
    }
  },
  kernel: {
    source,
    entry: "cosine_distance",
    cuda: {
      source: cudaSource,
      launches: ([x]) => [overRows(rowsOf(x.shape).rows, rowsOf(x.shape).n)],
    },
    arguments: (to, inputs, [distance], { eps }) => {
      const { rows, n } = rowsOf(inputs[0].shape);
      for (const x of [distance, ...inputs]) to.address(addressOf(x));
      to.integer(rows).integer(n).float(eps);
    },
  },
  companions: [cosineDistanceBackward],
  saves: { inputs: [0, 1] },
  vjp: ([g], { inputs: [x, y], needs, params, apply }) => [
    needs[0] ? apply(cosineDistanceBackward, [x, y, g], params)[0] : null,
    needs[1] ? apply(cosineDistanceBackward, [y, x, g], params)[0] : null,
  ],
  samples: [...pairs({ eps: 1e-8 }), ...pairs({ eps: 4 })],
};
