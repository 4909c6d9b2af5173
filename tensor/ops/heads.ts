/**
 * Tensors of heads: [batch, time, heads, headDim], or [time, heads, headDim] without a batch axis.
 *
 * @module
 */
import { collapse, type Layout, type Shape } from "../layout.ts";

/** Sizes of a tensor of heads. */
export interface HeadSizes {
  readonly batch: number;
  readonly time: number;
  readonly heads: number;
  readonly headDim: number;
}

/** The sizes; the batch is 1 where there is no such axis. */
export function headSizes(shape: Shape): HeadSizes {
  const [time, heads, headDim] = shape.slice(-3);
  return { batch: shape.length === 4 ? shape[0] : 1, time, heads, headDim };
}

/** Whether the elements of each head lie next to each other. */
export function isHeadContiguous({ shape, strides }: Layout): boolean {
  return shape[shape.length - 1] <= 1 || strides[strides.length - 1] === 1;
}

/** Elements from one token to the next, counted through all batch elements; null when the steps differ. */
export function tokenStride({ shape, strides }: Layout): number | null {
  const merged = collapse(shape.slice(0, -2), [strides.slice(0, -2)]);
  return merged.shape.length === 1 ? merged.strides[0][0] : null;
}
