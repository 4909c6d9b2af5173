/**
 * Rows that a run does not learn from, to evaluate on.
 *
 * @module
 */
import { permutation, RandomKey } from "../../tensor/mod.ts";
import type { Dataset } from "../data/dataset.ts";

/** A dataset in two parts that share no row. */
export interface Split<T> {
  readonly train: Dataset<T>;
  readonly heldOut: Dataset<T>;
}

/**
 * Divides rows: `count` of them, but never all, are held out. They are drawn at random, or are the last ones of a dataset
 * that is read in blocks.
 */
export function holdOut<T>(rows: Dataset<T>, count: number, seed: number): Split<T> {
  const held = Math.min(count, Math.max(0, rows.count - 1)), rest = rows.count - held;
  if (rows.blocks !== null) {
    const all = Int32Array.from({ length: rows.count }, (_, i) => i);
    return {
      train: pick(rows, all.subarray(0, rest), firstBlocks(rows.blocks, rest)),
      heldOut: pick(rows, all.subarray(rest), null),
    };
  }
  const order = permutation(rows.count, new RandomKey(seed).derive("held out"));
  // In the order of the file: the shuffle of an epoch is drawn elsewhere.
  return {
    train: pick(rows, order.slice(held).sort(), null),
    heldOut: pick(rows, order.slice(0, held).sort(), null),
  };
}

/** Sizes of the blocks that hold the first `count` rows. */
function firstBlocks(blocks: readonly number[], count: number): number[] {
  let left = count;
  return blocks.map((size) => {
    const taken = Math.min(size, left);
    left -= taken;
    return taken;
  }).filter((size) => size > 0);
}

function pick<T>(
  rows: Dataset<T>,
  indices: Int32Array | Uint32Array,
  blocks: readonly number[] | null,
): Dataset<T> {
  return {
    name: rows.name,
    count: indices.length,
    blocks,
    read: (index) => rows.read(indices[index]),
    where: (index) => rows.where(indices[index]),
    [Symbol.dispose]: () => rows[Symbol.dispose](),
  };
}
