/**
 * Weights of one part of a block, by their names inside it.
 *
 * @module
 */
import type { Tensor } from "../../tensor/mod.ts";

/** f32 weights of a part by name, such as `norm.weight` or `down.weight`. */
export type PartWeights = ReadonlyMap<string, Tensor>;

/** The weights that match `pattern`, and others. */
export function copied(
  weights: PartWeights,
  pattern: RegExp,
  others: Readonly<Record<string, Tensor>>,
): PartWeights {
  const same = weights.entries().filter(([name]) => pattern.test(name));
  return new Map([...same, ...Object.entries(others)]);
}
