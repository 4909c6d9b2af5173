/**
 * Tensors as text.
 *
 * @module
 */
import type { NumberArray } from "./dtype.ts";
import type { Shape } from "./layout.ts";

/** Axes longer than this show their first and last few elements. */
const summarizeAbove = 8;
const edge = 3;

/** The elements as nested brackets, at most a screenful: long axes show both ends. */
export function format(data: NumberArray, shape: Shape): string {
  const shown = visible(shape, 0, 0).map((index) => data[index]);
  const digits = (value: number): string =>
    Number.isInteger(value) ? String(value) : Number(value).toPrecision(5);
  const width = Math.max(0, ...shown.map((value) => digits(value).length));
  return brackets(
    shape,
    0,
    0,
    (index) => digits(data[index]).padStart(shape.length > 0 ? width : 0),
  );
}

/** Positions shown along an axis; -1 stands for those left out. */
function positions(size: number): number[] {
  if (size <= summarizeAbove) return Array.from({ length: size }, (_, i) => i);
  return [0, 1, 2, -1, ...Array.from({ length: edge }, (_, i) => size - edge + i)];
}

function visible(shape: Shape, axis: number, index: number): number[] {
  if (axis === shape.length) return [index];
  return positions(shape[axis]).filter((i) => i >= 0)
    .flatMap((i) => visible(shape, axis + 1, index * shape[axis] + i));
}

function brackets(
  shape: Shape,
  axis: number,
  index: number,
  show: (index: number) => string,
): string {
  if (axis === shape.length) return show(index);
  const parts = positions(shape[axis]).map((i) =>
    i < 0 ? "…" : brackets(shape, axis + 1, index * shape[axis] + i, show)
  );
  const last = axis === shape.length - 1;
  return `[${parts.join(last ? ", " : `,\n${" ".repeat(axis + 1)}`)}]`;
}
