/**
 * Matrix products.
 *
 * @module
 */
import type { Arguments } from "../../ffi/mod.ts";
import { type DType, isFloating } from "../dtype.ts";
import { DTypeError, ShapeError } from "../errors.ts";
import { formatShape, type Shape } from "../layout.ts";
import type { Binary, NumberTensor, View } from "../op.ts";
import { addressOf } from "./address.ts";

/** How to write a product. */
export interface ProductParams {
  /** Add to what the output holds. */
  readonly accumulate?: boolean;
}

function outputShape(name: string, a: View, b: View): Shape {
  const [m, k] = a.shape.slice(-2), [inner, n] = b.shape.slice(-2);
  const both = `${formatShape(a.shape)} @ ${formatShape(b.shape)}`;
  if (a.shape.length !== b.shape.length || a.shape.length < 2 || a.shape.length > 3) {
    throw new ShapeError(
      `${name}: matrices, or batches of them, are needed, ${both}. Reshape to rank 2 or 3.`,
    );
  }
  if (k !== inner) {
    const hint = k === n ? " Did you mean x.matmul(w.t())?" : " Transpose or reshape one.";
    throw new ShapeError(`${name}: inner sizes differ, ${both} (${k} vs ${inner}).${hint}`);
  }
  if (a.shape.length === 2) return [m, n];
  if (a.shape[0] !== b.shape[0]) {
    throw new ShapeError(
      `${name}: batches differ, ${both} (${a.shape[0]} vs ${b.shape[0]}). Expand one.`,
    );
  }
  return [a.shape[0], m, n];
}

function checkTypes(name: string, a: DType, b: DType): void {
  if (!isFloating(a)) {
    throw new DTypeError(`${name}: ${a} matrices have no product. Cast first: x.to("f32").`);
  }
  if (a !== b) throw new DTypeError(`${name}: ${a} and ${b} do not mix. Cast one: b.to("${a}").`);
}

/** Append the strides of the batch (0 for a single matrix), the rows and the columns. */
function appendStrides(to: Arguments, { strides }: View): void {
  const [rows, columns] = strides.slice(-2);
  to.integer(strides.length === 3 ? strides[0] : 0).integer(rows).integer(columns);
}

function reference(
  [a, b]: readonly [NumberTensor, NumberTensor],
  [out]: readonly NumberTensor[],
  { accumulate }: ProductParams,
): void {
  const [m, k] = a.shape.slice(-2), n = b.shape.at(-1)!;
  const batch = a.shape.length === 3 ? a.shape[0] : 1;
  for (let s = 0; s < batch; s++) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let l = 0; l < k; l++) {
          sum += a.data[(s * m + i) * k + l] * b.data[(s * k + l) * n + j];
        }
        const at = (s * m + i) * n + j;
        out.data[at] = sum + (accumulate ? out.data[at] : 0);
      }
    }
  }
}

const shapes: readonly (readonly [Shape, Shape])[] = [
  [[2, 3], [3, 4]],
  [[1, 1], [1, 5]],
  [[17, 33], [33, 65]],
  [[70, 5], [5, 19]],
  [[3, 4, 5], [3, 5, 2]],
  [[0, 3], [3, 2]],
  [[2, 0], [0, 3]],
];

function product(
  name: string,
  entry: string,
  outputType: (input: DType) => DType,
): Binary<ProductParams> {
  return {
    name,
    outputs: ([a, b]) => {
      checkTypes(name, a.dtype, b.dtype);
      return [{ shape: outputShape(name, a, b), dtype: outputType(a.dtype) }];
    },
    reference,
    kernel: {
      source: new URL("./matmul.c", import.meta.url),
      entry,
      strided: true,
      arguments: (to, [a, b], [out], { accumulate }) => {
        const [m, n] = out.shape.slice(-2), batch = out.shape.length === 3 ? out.shape[0] : 1;
        to.address(addressOf(a)).address(addressOf(b)).address(addressOf(out));
        to.integer(batch).integer(m).integer(n).integer(a.shape.at(-1)!);
        appendStrides(to, a);
        appendStrides(to, b);
        to.integer(m * n).integer(n).integer(accumulate ? 1 : 0);
      },
      cuda: {
        product: ([a, b], [c], { accumulate = false }) => ({ a, b, c, accumulate }),
      },
    },
    vjp: ([g], { inputs: [a, b], specs, needs }) => {
      const gradient = g.to(specs[0].dtype);
      return [
        needs[0] ? gradient.matmul(b.transpose(-2, -1)) : null,
        needs[1] ? a.transpose(-2, -1).matmul(gradient) : null,
      ];
    },
    saves: { inputs: [0, 1], bilinear: true },
    samples: shapes.map((shapes) => ({ shapes, params: {} })),
  };
}

/** `[m, k] @ [k, n]`, or as many products as the first axis of both has; sums in f32, result in the inputs' type. */
export const matmul: Binary<ProductParams> = product("matmul", "matmul", (input) => input);

/** The same with an f32 result whatever the inputs are: weight gradients add up in f32. */
export const matmulWide: Binary<ProductParams> = product(
  "matmulWide",
  "matmul_wide",
  (input) => input === "f64" ? "f64" : "f32",
);
