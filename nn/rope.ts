/**
 * The rotary position layer.
 *
 * @module
 */
import { ropeTable, type RopeTableOptions, type Tensor } from "../tensor/mod.ts";
import { Module } from "./module.ts";

/**
 * Turns pairs of each head by position · θ^(−2i/d) (Su et al., 2021), pairing element i with i + d/2. Has no parameters.
 * x: [batch, time, heads, headDim] or [tokens, heads, headDim] → same.
 */
export class Rope extends Module {
  readonly #table: Tensor;

  /** A layer for positions below `options.positions`. Throws RangeError for options that make no sense. */
  constructor(options: RopeTableOptions) {
    super();
    this.#table = ropeTable(options).keep();
  }

  /** How many positions it can turn to. */
  get positions(): number {
    return this.#table.shape[0];
  }

  /** `positions`: that of the first token, or i32 that of each. Throws IndexError for one beyond the table. */
  forward(x: Tensor, positions: number | Tensor = 0): Tensor {
    return x.rope(this.#table, { positions });
  }

  /** Gives the memory of the table back. Safe to call twice. */
  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#table[Symbol.dispose]();
  }
}
