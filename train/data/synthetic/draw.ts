/**
 * Random choices in a row.
 *
 * @module
 */
import { permutation, type RandomKey } from "../../../tensor/mod.ts";

/** The draws of one key, one after the other: equal keys choose equally. */
export class Draw {
  readonly #key: RandomKey;
  #drawn = 0;

  /** Begins with the first draw of a key. */
  constructor(key: RandomKey) {
    this.#key = key;
  }

  /** A number in [0, 1). */
  uniform(): number {
    return this.#key.uniform(this.#drawn++);
  }

  /** A whole number from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.uniform() * (high - low + 1));
  }

  /** One of the items. */
  pick<T>(items: readonly T[]): T {
    return items[this.integer(0, items.length - 1)];
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.uniform() < probability;
  }

  /** `count` of the items, no place twice, in random order. */
  several<T>(count: number, items: readonly T[]): T[] {
    const order = permutation(items.length, this.#key.derive(this.#drawn++));
    return Array.from(order.subarray(0, count), (at) => items[at]);
  }
}
