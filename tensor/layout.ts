/**
 * Shapes and strides: pure functions, nothing here touches memory. Strides and offsets count elements.
 *
 * @module
 */
import { ShapeError } from "./errors.ts";

/** Sizes of the axes, outermost first. */
export type Shape = readonly number[];

/** Where the elements of a tensor lie in its storage. */
export interface Layout {
  /** Sizes of the axes. */
  readonly shape: Shape;
  /** Elements to step for one more along each axis; 0 repeats. */
  readonly strides: readonly number[];
  /** Element at which it starts. */
  readonly offset: number;
}

/** Number of elements. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (let i = 0; i < shape.length; i++) size *= shape[i];
  return size;
}

/** `[2, 3]` as people write it. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** Whether two shapes are the same. */
export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Row-major strides. */
export function contiguousStrides(shape: Shape): readonly number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

/** Whether the elements lie in row-major order without gaps. */
export function isContiguous({ shape, strides }: Layout): boolean {
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== step) return sizeOf(shape) === 0;
    step *= shape[i];
  }
  return true;
}

/** `axis` counted from the front, negative values counted from the back. Throws ShapeError when there is no such axis. */
export function resolveAxis(op: string, axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    const range = rank > 0 ? `Use -${rank} to ${rank - 1}.` : "It has none.";
    throw new ShapeError(`${op}: no axis ${axis} in a tensor of rank ${rank}. ${range}`);
  }
  return axis < 0 ? axis + rank : axis;
}

/** Throw ShapeError unless every size is a whole number of at least 0. */
export function checkShape(op: string, shape: Shape): void {
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new ShapeError(
        `${op}: ${
          formatShape(shape)
        } is no shape (${size}). Sizes are whole numbers of at least 0.`,
      );
    }
  }
  if (!Number.isSafeInteger(sizeOf(shape))) {
    throw new ShapeError(
      `${op}: ${formatShape(shape)} has too many elements (${sizeOf(shape)}). Use a smaller shape.`,
    );
  }
}

/** The shape both broadcast to (axes are aligned at the end; a size of 1 repeats). Throws ShapeError when they do not fit. */
export function broadcastShapes(op: string, a: Shape, b: Shape): Shape {
  if (sameShape(a, b)) return a;
  const rank = Math.max(a.length, b.length);
  const shape = new Array<number>(rank);
  for (let i = 1; i <= rank; i++) {
    const x = a[a.length - i] ?? 1, y = b[b.length - i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) {
      throw new ShapeError(
        `${op}: shapes do not broadcast, ${formatShape(a)} and ${formatShape(b)} (${x} vs ${y}). ` +
          `Aligned at the end, sizes must be equal or 1.`,
      );
    }
    shape[rank - i] = x === 1 ? y : x;
  }
  return shape;
}

/** Strides with which `layout` is read as `shape`; repeated axes get stride 0. */
export function broadcastStrides(layout: Layout, shape: Shape): readonly number[] {
  const missing = shape.length - layout.shape.length;
  return shape.map((size, i) =>
    i < missing || (layout.shape[i - missing] === 1 && size !== 1) ? 0 : layout.strides[i - missing]
  );
}

/** Repeat axes of size 1 (and missing leading ones) up to `shape`, without a copy. */
export function expandLayout(op: string, layout: Layout, shape: Shape): Layout {
  checkShape(op, shape);
  const joint = broadcastShapes(op, layout.shape, shape);
  if (!sameShape(joint, shape)) {
    throw new ShapeError(
      `${op}: ${formatShape(layout.shape)} does not expand to ${
        formatShape(shape)
      }. Only axes of size 1 can repeat.`,
    );
  }
  return { shape: [...shape], strides: broadcastStrides(layout, shape), offset: layout.offset };
}

/** Reorder the axes. */
export function permuteLayout(op: string, layout: Layout, axes: readonly number[]): Layout {
  const rank = layout.shape.length;
  const order = axes.map((axis) => resolveAxis(op, axis, rank));
  if (order.length !== rank || new Set(order).size !== rank) {
    throw new ShapeError(
      `${op}: [${axes.join(", ")}] is no order of the axes of ${
        formatShape(layout.shape)
      }. Name each axis once.`,
    );
  }
  return {
    shape: order.map((axis) => layout.shape[axis]),
    strides: order.map((axis) => layout.strides[axis]),
    offset: layout.offset,
  };
}

/** Elements `start`, `start + step`, … before `end` of one axis. */
export function sliceLayout(
  op: string,
  layout: Layout,
  axis: number,
  start: number,
  end: number,
  step: number,
): Layout {
  const at = resolveAxis(op, axis, layout.shape.length), size = layout.shape[at];
  const fits = Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start <= end &&
    end <= size;
  if (!fits || !Number.isInteger(step) || step < 1) {
    throw new ShapeError(
      `${op}: ${start}:${end}:${step} does not fit axis ${at} of ${
        formatShape(layout.shape)
      } (${size}). ` +
        `Use 0 <= start <= end <= ${size} and a step of at least 1.`,
    );
  }
  return {
    shape: layout.shape.with(at, Math.ceil((end - start) / step)),
    strides: layout.strides.with(at, layout.strides[at] * step),
    offset: layout.offset + start * layout.strides[at],
  };
}

/** Fill in the one size given as -1. Throws ShapeError when the number of elements would change. */
export function inferShape(op: string, from: Shape, to: Shape): Shape {
  const size = sizeOf(from);
  const open = to.indexOf(-1);
  const known = to.reduce((product, n) => n === -1 ? product : product * n, 1);
  const shape = open >= 0 && known > 0 ? to.with(open, size / known) : [...to];
  if (sizeOf(shape) !== size || shape.some((n) => !Number.isInteger(n) || n < 0)) {
    throw new ShapeError(
      `${op}: ${formatShape(from)} does not fit ${
        formatShape(to)
      } (${size} vs ${known} elements). ` +
        `Keep the number of elements; one size may be -1.`,
    );
  }
  return shape;
}

/** The same elements as `shape` without a copy, or null when their strides do not allow it. */
export function reshapeLayout(layout: Layout, shape: Shape): Layout | null {
  if (isContiguous(layout)) {
    return { shape, strides: contiguousStrides(shape), offset: layout.offset };
  }
  const { shape: from, strides } = squeezed(layout);
  const result = new Array<number>(shape.length);
  let axis = from.length - 1;
  // From the back: take old axes until they hold as many elements as the run of new axes they must become.
  for (let i = shape.length - 1; i >= 0;) {
    let need = shape[i], first = i;
    if (axis < 0) { // only ones are left
      result[i--] = 1;
      continue;
    }
    let have = from[axis], outer = axis;
    while (need !== have) {
      if (need < have) {
        if (first === 0) return null;
        need *= shape[--first];
      } else {
        if (outer === 0 || strides[outer - 1] !== strides[outer] * from[outer]) return null;
        have *= from[--outer];
      }
    }
    let step = strides[axis];
    for (let j = i; j >= first; j--) {
      result[j] = step;
      step *= shape[j];
    }
    i = first - 1;
    axis = outer - 1;
  }
  return axis >= 0 ? null : { shape, strides: result, offset: layout.offset };
}

function squeezed({ shape, strides }: Layout): { shape: Shape; strides: readonly number[] } {
  const real = shape.map((_, i) => i).filter((i) => shape[i] !== 1);
  return { shape: real.map((i) => shape[i]), strides: real.map((i) => strides[i]) };
}

/**
 * Merge neighbouring axes that every operand steps through alike, so that a kernel sees as few axes as possible.
 * `operands` are strides for `shape`. Returns the merged shape and strides; at least one axis is left.
 */
export function collapse(
  shape: Shape,
  operands: readonly (readonly number[])[],
): { shape: number[]; strides: number[][] } {
  const sizes: number[] = [], strides: number[][] = operands.map(() => []);
  for (let axis = 0; axis < shape.length; axis++) {
    const size = shape[axis];
    if (size === 1) continue;
    const last = sizes.length - 1;
    const merges = last >= 0 && operands.every((s, k) => strides[k][last] === s[axis] * size);
    if (merges) {
      sizes[last] *= size;
      operands.forEach((s, k) => strides[k][last] = s[axis]);
    } else {
      sizes.push(size);
      operands.forEach((s, k) => strides[k].push(s[axis]));
    }
  }
  if (sizes.length === 0) {
    sizes.push(1);
    strides.forEach((s) => s.push(1));
  }
  return { shape: sizes, strides };
}
