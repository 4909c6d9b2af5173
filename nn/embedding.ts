/**
 * The embedding layer.
 *
 * @module
 */
import type { Tensor } from "../tensor/mod.ts";
import { Module } from "./module.ts";

/** Row `id` of a table for each id. weight: [vocab, dim]; ids: i32 [...] → [..., dim]. */
export class Embedding extends Module {
  /** A layer that owns its table. */
  constructor(readonly weight: Tensor) {
    super();
  }

  /** ids: i32 [...] → [..., dim]. Throws IndexError for an id outside of the table. */
  forward(ids: Tensor): Tensor {
    return ids.embedding(this.weight);
  }
}
