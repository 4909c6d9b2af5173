/**
 * Reductions over several axes, from one over a single axis.
 *
 * @module
 */
import { resolveAxis, sameShape, sizeOf } from "./layout.ts";
import { scope } from "./scope.ts";
import type { Tensor } from "./tensor.ts";

/** An axis, several, or all of them. */
export type Axes = number | readonly number[];

/** Reduce axis after axis, neighbouring ones at once. Reduced axes are dropped, or kept with size 1. */
export function reduce(
  name: string,
  x: Tensor,
  axes: Axes | undefined,
  keep: boolean,
  along: (x: Tensor, axis: number) => Tensor,
): Tensor {
  const all = x.shape.map((_, axis) => axis);
  const wanted = axes === undefined ? all : typeof axes === "number" ? [axes] : axes;
  const chosen = new Set(wanted.map((axis) => resolveAxis(name, axis, x.rank)));
  return scope(() => reduceChosen(x, chosen, keep, along));
}

function reduceChosen(
  x: Tensor,
  chosen: ReadonlySet<number>,
  keep: boolean,
  along: (x: Tensor, axis: number) => Tensor,
): Tensor {
  let result = x;
  for (let end = x.rank; end > 0;) {
    let start = end - 1;
    if (chosen.has(start)) {
      while (chosen.has(start - 1)) start--;
      const merged = [
        ...result.shape.slice(0, start),
        sizeOf(x.shape.slice(start, end)),
        ...result.shape.slice(end),
      ];
      result = along(sameShape(result.shape, merged) ? result : result.reshape(merged), start);
    }
    end = start;
  }
  return keep ? result.reshape(x.shape.map((size, axis) => chosen.has(axis) ? 1 : size)) : result;
}
