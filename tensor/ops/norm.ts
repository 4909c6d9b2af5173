/**
 * What the normalisations over the last axis share.
 *
 * @module
 */
import { type DType, isFloating } from "../dtype.ts";
import { DTypeError, ShapeError } from "../errors.ts";
import { formatShape, type Shape, sizeOf } from "../layout.ts";
import type { TensorSpec, VjpContext } from "../op.ts";
import type { Tensor } from "../tensor.ts";

/** How a normalisation keeps away from dividing by zero. */
export interface NormParams {
  /** Added to the mean square. */
  readonly eps: number;
}

/** Which gradients a normalisation's backward computes beside that of its input. */
export interface NormBackwardParams {
  /** Whether those of the weights are wanted. */
  readonly weights: boolean;
}

/** Rows whose contributions to a weight's gradient are summed by one thread. */
export const rowsPerBlock = 64;

/** A tensor as rows along its last axis. */
export function rowsOf(shape: Shape): { readonly rows: number; readonly dim: number } {
  return { rows: sizeOf(shape.slice(0, -1)), dim: shape[shape.length - 1] };
}

/** Element type of saved statistics: at least f32. */
export function statisticsType(dtype: DType): DType {
  return dtype === "f64" ? "f64" : "f32";
}

/** One statistic for each row of `x`. */
export function perRow({ shape, dtype }: TensorSpec): TensorSpec {
  return { shape: shape.slice(0, -1), dtype: statisticsType(dtype) };
}

/** Sums over each block of rows, one per column; none when they are not wanted. */
export function partialsOf({ shape, dtype }: TensorSpec, wanted: boolean): TensorSpec {
  const { rows, dim } = rowsOf(shape);
  const blocks = wanted ? Math.ceil(rows / rowsPerBlock) : 0;
  return { shape: [blocks, dim], dtype: statisticsType(dtype) };
}

/** Throw unless `x` has a last axis of floating elements and each weight has one element of that type for each column. */
export function checkNorm(
  op: string,
  x: TensorSpec,
  weights: Readonly<Record<string, TensorSpec>>,
): void {
  if (x.shape.length === 0) {
    throw new ShapeError(`${op}: the input is one number, []. Pass at least one axis.`);
  }
  if (!isFloating(x.dtype)) {
    throw new DTypeError(`${op}: ${x.dtype} elements are not normalised. Cast first: x.to("f32").`);
  }
  const dim = x.shape[x.shape.length - 1];
  for (const [name, { shape, dtype }] of Object.entries(weights)) {
    if (shape.length !== 1 || shape[0] !== dim) {
      throw new ShapeError(
        `${op}: the ${name} does not fit the last axis, ${formatShape(shape)} and ${
          formatShape(x.shape)
        } (${sizeOf(shape)} vs ${dim}). Pass [${dim}].`,
      );
    }
    if (dtype !== x.dtype) {
      throw new DTypeError(
        `${op}: the ${name} is ${dtype}, the input ${x.dtype}. Cast one: ${name}.to("${x.dtype}").`,
      );
    }
  }
}

/**
 * The gradient of weight `input` from its sums over blocks of rows. They are added in order, so its bits do not depend on
 * the number of threads. It stays f32 where it is added to the f32 gradient of a leaf.
 */
export function addPartials(
  partials: Tensor,
  input: number,
  { into, specs }: Pick<VjpContext<unknown, readonly Tensor[]>, "into" | "specs">,
): Tensor {
  const total = partials.sum(0);
  return into(input) ? total : total.to(specs[input].dtype);
}
