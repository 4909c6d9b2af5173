/**
 * Lists of lists of numbers, as people write tensors down.
 *
 * @module
 */
import type { NumberArray } from "./dtype.ts";
import { ShapeError } from "./errors.ts";
import { formatShape, sameShape, type Shape } from "./layout.ts";

/** Numbers, or lists of them, of equal lengths on each level. */
export type Nested = number | NumberArray | readonly Nested[];

/** The shape of nested lists. Throws ShapeError when they differ in length. */
export function shapeOf(values: Nested): Shape {
  if (typeof values === "number") return [];
  if (ArrayBuffer.isView(values) || values.every((value) => typeof value === "number")) {
    return [values.length];
  }
  const parts = (values as readonly Nested[]).map(shapeOf);
  const odd = parts.find((part) => !sameShape(part, parts[0]));
  if (odd) {
    throw new ShapeError(
      `from: lists differ in shape, ${formatShape(parts[0])} and ${
        formatShape(odd)
      }. Make all of them equal.`,
    );
  }
  return [values.length, ...parts[0]];
}

/** Their numbers in row-major order. */
export function flatten(values: Nested): ArrayLike<number> {
  if (typeof values === "number") return [values];
  if (ArrayBuffer.isView(values) || typeof values[0] === "number") {
    return values as ArrayLike<number>;
  }
  return (values as readonly Nested[]).flatMap((part) => Array.from(flatten(part)));
}
