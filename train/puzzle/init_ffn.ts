/**
 * What replaces a feed-forward part before it is trained, made of the parent's weights.
 *
 * Source: Bercovich et al., "Puzzle", 2024, appendix A.
 *
 * @module
 */
import type { FfnSpec } from "../../nn/mod.ts";
import { Tensor } from "../../tensor/mod.ts";
import { copied, type PartWeights } from "./part_weights.ts";

/** What a variant of a feed-forward part starts from. */
export interface FfnOrigin {
  /** The parent's weights: norm, gate (unless squared ReLU), up and down. */
  readonly weights: PartWeights;
  /** What each channel contributes. */
  readonly contributions: readonly number[];
}

/** The weights of `variant`, from those of the parent; called in a scope. Norms are the parent's. */
export function initialFfn({ weights, contributions }: FfnOrigin, variant: FfnSpec): PartWeights {
  const up = weights.get("up.weight")!, down = weights.get("down.weight")!; // [hidden, dim], [dim, hidden]
  // A product of the matrices around the nonlinearity: the gate is ignored.
  if (variant.kind === "linear") {
    return copied(weights, /^norm\./, { "linear.weight": down.matmul(up) });
  }
  const kept = strongest(contributions, variant.hidden);
  const index = Tensor.from(kept, [kept.length], { dtype: "i32" });
  const rows = (x: Tensor): Tensor =>
    x.rank === 2 ? index.embedding(x) : index.embedding(x.unsqueeze(1)).squeeze(1);
  const sliced = weights.entries().filter(([name]) => /^(gate|up)\./.test(name));
  return copied(weights, /^(norm\.|down\.bias)/, {
    ...Object.fromEntries(sliced.map(([name, x]) => [name, rows(x)])),
    "down.weight": index.embedding(down.t().contiguous()).t().contiguous(),
  });
}

/** The `count` channels that contribute most, in their own order. */
function strongest(contributions: readonly number[], count: number): number[] {
  const order = [...contributions.keys()].sort((a, b) => contributions[b] - contributions[a]);
  return order.slice(0, count).sort((a, b) => a - b);
}
