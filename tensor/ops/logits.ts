/**
 * What ops on rows of logits share.
 *
 * @module
 */
import { type DType, isFloating } from "../dtype.ts";
import { DTypeError, ShapeError } from "../errors.ts";
import { formatShape, type Shape } from "../layout.ts";
import type { NumberTensor, TensorSpec } from "../op.ts";

/** The distribution of one row of logits divided by a temperature. */
export interface Distribution {
  /** log p of entry `j`. */
  logProbability(j: number): number;
  /** log Σ exp z. */
  readonly logSumExp: number;
}

/** Row `row` of [rows, n] logits as a distribution. */
export function distributionOf(
  { shape: [, n], data }: NumberTensor,
  row: number,
  temperature: number,
): Distribution {
  let max = -Infinity, sum = 0;
  for (let j = 0; j < n; j++) max = Math.max(max, data[row * n + j] / temperature);
  for (let j = 0; j < n; j++) sum += Math.exp(data[row * n + j] / temperature - max);
  const logSumExp = max + Math.log(sum);
  return { logSumExp, logProbability: (j) => data[row * n + j] / temperature - logSumExp };
}

/** Throw unless `x` is [rows, n] and floating. */
export function checkLogits(op: string, { shape, dtype }: TensorSpec): void {
  if (shape.length !== 2) {
    throw new ShapeError(
      `${op}: logits are [tokens, vocab], got ${formatShape(shape)} (rank ${shape.length}). ` +
        `Reshape them.`,
    );
  }
  if (!isFloating(dtype)) {
    throw new DTypeError(`${op}: logits are floating, got ${dtype}. Cast first: x.to("f32").`);
  }
}

/** Throw unless the gradient of logits can be of that type: theirs, or any while they are f32. */
export function checkGradientType(op: string, logits: DType, gradient: DType): void {
  if (gradient === logits || logits === "f32") return;
  throw new DTypeError(
    `${op}: a ${gradient} gradient of ${logits} logits is not computed. Cast the logits to f32.`,
  );
}

/** Throw unless `x`, one `what` for each token, is of that type and as many. */
export function checkPerToken(
  op: string,
  what: string,
  x: TensorSpec,
  rows: number,
  dtype: DType,
): void {
  if (x.shape.length !== 1 || x.shape[0] !== rows) {
    throw new ShapeError(
      `${op}: ${what} are one for each token, got ${formatShape(x.shape)} for ${rows} tokens. ` +
        `Pass [${rows}].`,
    );
  }
  if (x.dtype !== dtype && !(dtype === "f32" && x.dtype === "f64")) {
    throw new DTypeError(`${op}: ${what} are ${dtype}, got ${x.dtype}. Cast first.`);
  }
}

/** One number for each row: f32, or f64 where the logits are. */
export function perRow({ shape, dtype }: TensorSpec): { shape: Shape; dtype: DType } {
  return { shape: [shape[0]], dtype: dtype === "f64" ? "f64" : "f32" };
}
