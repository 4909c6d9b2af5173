/**
 * Feed-forward layers.
 *
 * @module
 */
import type { Tensor } from "../tensor/mod.ts";
import type { Linear } from "./linear.ts";
import { Module } from "./module.ts";
import type { Norm } from "./norm.ts";

/** What a gated feed-forward layer is made of. */
export interface GatedParts {
  /** [dim], before the projections; null for none. */
  readonly norm: Norm | null;
  /** [hidden, dim]. */
  readonly gate: Linear;
  /** [hidden, dim]. */
  readonly up: Linear;
  /** [dim, hidden]. */
  readonly down: Linear;
}

/** down(silu(gate n) ⊙ up n) with n = norm x (Shazeer, "GLU variants", 2020): Llama's. x: [..., dim] → same. */
export class GatedFeedForward extends Module {
  /** [dim], before the projections; null for none. */
  readonly norm: Norm | null;
  /** What lets hidden units through: [hidden, dim]. */
  readonly gate: Linear;
  /** Hidden units: [hidden, dim]. */
  readonly up: Linear;
  /** Back to the stream: [dim, hidden]. */
  readonly down: Linear;

  /** A layer that owns its parts. */
  constructor({ norm, gate, up, down }: GatedParts) {
    super();
    [this.norm, this.gate, this.up, this.down] = [norm, gate, up, down];
  }

  /** x: [..., dim] → same. */
  forward(x: Tensor): Tensor {
    const n = this.norm?.forward(x) ?? x;
    return this.down.forward(this.gate.forward(n).swiglu(this.up.forward(n)));
  }
}

/** What a squared ReLU feed-forward layer is made of. */
export interface Relu2Parts {
  /** [dim], before the projections; null for none. */
  readonly norm: Norm | null;
  /** [hidden, dim]. */
  readonly up: Linear;
  /** [dim, hidden]. */
  readonly down: Linear;
}

/** down(relu(up n)²) with n = norm x (So et al., "Primer", 2021): Nemotron-4's. x: [..., dim] → same. */
export class Relu2FeedForward extends Module {
  /** [dim], before the projections; null for none. */
  readonly norm: Norm | null;
  /** Hidden units: [hidden, dim]. */
  readonly up: Linear;
  /** Back to the stream: [dim, hidden]. */
  readonly down: Linear;

  /** A layer that owns its parts. */
  constructor({ norm, up, down }: Relu2Parts) {
    super();
    [this.norm, this.up, this.down] = [norm, up, down];
  }

  /** x: [..., dim] → same. */
  forward(x: Tensor): Tensor {
    const n = this.norm?.forward(x) ?? x;
    return this.down.forward(this.up.forward(n).relu2());
  }
}

/** linear(norm x): what a search puts in the place of attention or of a feed-forward layer. x: [..., dim] → same. */
export class LinearReplacement extends Module {
  /** A layer that owns its parts. norm: [dim] or null, linear: [dim, dim]. */
  constructor(readonly norm: Norm | null, readonly linear: Linear) {
    super();
  }

  /** x: [..., dim] → same. */
  forward(x: Tensor): Tensor {
    return this.linear.forward(this.norm?.forward(x) ?? x);
  }
}
