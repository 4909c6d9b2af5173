/**
 * The attention layer.
 *
 * @module
 */
import type { Tensor } from "../tensor/mod.ts";
import type { LayerCache } from "./kv_cache.ts";
import type { Linear } from "./linear.ts";
import { Module } from "./module.ts";
import type { Norm } from "./norm.ts";
import { type Placement, wholeSequences } from "./placement.ts";
import type { Rope } from "./rope.ts";

/** What an attention layer is made of. */
export interface AttentionParts {
  /** [dim], before the projections; null for none. */
  readonly norm: Norm | null;
  /** [heads · headDim, dim]. */
  readonly q: Linear;
  /** [kvHeads · headDim, dim]. */
  readonly k: Linear;
  /** [kvHeads · headDim, dim]. */
  readonly v: Linear;
  /** [dim, heads · headDim]. */
  readonly o: Linear;
}

/** How an attention layer attends. */
export interface AttentionLayerOptions {
  /** Size of one head. */
  readonly headDim: number;
  /** Rotary positions; null for none. The layer does not own them, since all layers share one table. */
  readonly rope: Rope | null;
  /** How many of the latest tokens a token sees, itself included; 0, the default, for all. */
  readonly window?: number;
}

/**
 * o(softmax(q kᵀ / √headDim) v), causal, with n = norm x, q = rope(q n), k = rope(k n), v = v n, and heads / kvHeads query
 * heads for each key head (Ainslie et al., "GQA", 2023). x: [batch, time, dim] or packed [tokens, dim] → same.
 */
export class Attention extends Module {
  /** [dim], before the projections; null for none. */
  readonly norm: Norm | null;
  /** Queries: [heads · headDim, dim]. */
  readonly q: Linear;
  /** Keys: [kvHeads · headDim, dim]. */
  readonly k: Linear;
  /** Values: [kvHeads · headDim, dim]. */
  readonly v: Linear;
  /** Back to the stream: [dim, heads · headDim]. */
  readonly o: Linear;
  /** Size of one head. */
  readonly headDim: number;
  /** How many of the latest tokens a token sees, itself included; 0 for all. */
  readonly window: number;
  readonly #rope: Rope | null;

  /** A layer that owns its parts. */
  constructor({ norm, q, k, v, o }: AttentionParts, options: AttentionLayerOptions) {
    super();
    const { headDim, rope, window = 0 } = options;
    [this.norm, this.q, this.k, this.v, this.o] = [norm, q, k, v, o];
    [this.headDim, this.#rope, this.window] = [headDim, rope, window];
  }

  /** x: [batch, time, dim] → same; with a cache, x is packed, and its tokens follow those that the cache holds. */
  forward(x: Tensor, place: Placement = wholeSequences, cache: LayerCache | null = null): Tensor {
    return this.o.forward(this.attended(x, place, cache));
  }

  /** What the heads give, before `o`: x: [batch, time, dim] → [batch, time, heads · headDim]. */
  attended(x: Tensor, place: Placement = wholeSequences, cache: LayerCache | null = null): Tensor {
    const n = this.norm?.forward(x) ?? x, rows = x.shape.slice(0, -1);
    const split = (y: Tensor): Tensor => y.reshape([...rows, -1, this.headDim]);
    const turn = (y: Tensor): Tensor => this.#rope?.forward(y, place.positions) ?? y;
    const q = turn(split(this.q.forward(n))); // [...rows, heads, headDim]
    const k = turn(split(this.k.forward(n))), v = split(this.v.forward(n)); // [...rows, kvHeads, headDim]
    const [keys, values] = cache?.append(k, v) ?? [k, v];
    const { window, headDim } = this, heads = q.shape.at(-2)!;
    const sequences = place.sequences ? { sequences: place.sequences } : {};
    const attended = q.attention(keys, values, { causal: true, window, ...sequences });
    return attended.reshape([...rows, heads * headDim]);
  }
}
