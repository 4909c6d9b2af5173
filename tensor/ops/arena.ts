/**
 * What ops on flat arenas of parameters share.
 *
 * @module
 */
import { isFloating } from "../dtype.ts";
import { DTypeError, ShapeError } from "../errors.ts";
import { formatShape, sameShape } from "../layout.ts";
import type { TensorSpec } from "../op.ts";

/** Throw unless all are floating, and alike in shape and element type. `names` are theirs, for the message. */
export function checkAlike(
  op: string,
  names: readonly string[],
  inputs: readonly TensorSpec[],
): void {
  const [{ shape, dtype }] = inputs;
  if (!isFloating(dtype)) {
    throw new DTypeError(`${op}: ${names[0]} is ${dtype}, which has no fractions. Pass f32.`);
  }
  inputs.forEach((x, i) => {
    const both = `${names[0]} and ${names[i]}`;
    if (!sameShape(x.shape, shape)) {
      throw new ShapeError(
        `${op}: ${both} differ, ${formatShape(shape)} and ${formatShape(x.shape)}. ` +
          `Pass arenas of one layout.`,
      );
    }
    if (x.dtype !== dtype) {
      throw new DTypeError(`${op}: ${both} differ, ${dtype} and ${x.dtype}. Cast one.`);
    }
  });
}
