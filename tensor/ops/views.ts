/**
 * Ops that look at the same memory differently. They copy nothing.
 *
 * @module
 */
import {
  expandLayout,
  inferShape,
  permuteLayout,
  reshapeLayout,
  type Shape,
  sizeOf,
  sliceLayout,
} from "../layout.ts";
import { ShapeError } from "../errors.ts";
import type { ViewOp } from "../op.ts";
import { copy } from "./copy.ts";

/** Repeat axes of size 1, and missing leading ones, up to a shape. */
export const expand: ViewOp<{ readonly shape: Shape }> = {
  name: "expand",
  layout: (x, { shape }) => expandLayout("expand", x, shape),
  vjp: (g, { shape }) => g.sumTo(shape),
  samples: [
    { shape: [1, 3], params: { shape: [2, 3] } },
    { shape: [3], params: { shape: [2, 3] } },
    { shape: [2, 1, 3], params: { shape: [4, 2, 5, 3] } },
    { shape: [1], params: { shape: [0] } },
  ],
};

/** Reorder the axes. */
export const permute: ViewOp<{ readonly axes: readonly number[] }> = {
  name: "permute",
  layout: (x, { axes }) => permuteLayout("permute", x, axes),
  vjp: (g, { shape }, { axes }) => {
    const inverse = new Array<number>(axes.length);
    axes.forEach((axis, i) => inverse[axis < 0 ? axis + shape.length : axis] = i);
    return g.permute(inverse);
  },
  samples: [
    { shape: [2, 3], params: { axes: [1, 0] } },
    { shape: [2, 3, 4], params: { axes: [2, 0, 1] } },
    { shape: [2, 3, 4], params: { axes: [-1, 0, 1] } },
    { shape: [], params: { axes: [] } },
  ],
};

/** Elements `start`, `start + step`, … before `end` of one axis. */
export const slice: ViewOp<SliceParams> = {
  name: "slice",
  layout: (x, { axis, start, end, step }) => sliceLayout("slice", x, axis, start, end, step),
  vjp: (g, { shape }, { axis, start, end, step }, { applyInto }) => {
    const whole = g.newZeros(shape);
    applyInto(copy, [g], [whole.slice(axis, start, end, step)], {});
    return whole;
  },
  samples: [
    { shape: [5], params: { axis: 0, start: 1, end: 4, step: 1 } },
    { shape: [4, 6], params: { axis: 1, start: 1, end: 6, step: 2 } },
    { shape: [4, 6], params: { axis: -2, start: 2, end: 2, step: 1 } },
    { shape: [3, 4, 5], params: { axis: 1, start: 0, end: 4, step: 3 } },
  ],
};

/** Which elements of which axis. */
export interface SliceParams {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** The same elements in another shape; the strides must allow it, or the tensor method makes a copy first. */
export const reshape: ViewOp<{ readonly shape: Shape }> = {
  name: "reshape",
  layout: (x, { shape }) => {
    const layout = reshapeLayout(x, inferShape("reshape", x.shape, shape));
    if (layout) return layout;
    throw new ShapeError(
      `reshape: the strides of [${x.shape.join(", ")}] do not allow [${
        shape.join(", ")
      }] without a copy ` +
        `(${sizeOf(x.shape)} elements). Call contiguous() first.`,
    );
  },
  vjp: (g, { shape }) => g.reshape(shape),
  samples: [
    { shape: [6], params: { shape: [2, 3] } },
    { shape: [2, 3, 4], params: { shape: [-1, 4] } },
    { shape: [1], params: { shape: [] } },
    { shape: [0, 4], params: { shape: [2, 0] } },
  ],
};
