/**
 * What replaces attention before it is trained, made of the parent's weights.
 *
 * Source: Bercovich et al., "Puzzle", 2024, appendix A, and the modes of NVIDIA's Model-Optimizer.
 *
 * @module
 */
import type { AttentionSpec, GqaSpec } from "../../nn/mod.ts";
import { Tensor } from "../../tensor/mod.ts";
import { copied, type PartWeights } from "./part_weights.ts";

/**
 * How fewer KV heads come from more: `average` takes the mean of the heads that become one (Ainslie et al., "GQA",
 * 2023); `prune` keeps those that contribute most, and what read the others starts by adding nothing.
 */
export type KvInitialisation = "average" | "prune";

/** What a variant of attention starts from. */
export interface AttentionOrigin {
  /** The parent's part. */
  readonly part: GqaSpec;
  /** The parent's weights: norm, q, k, v and o. */
  readonly weights: PartWeights;
  /** Size of one head. */
  readonly headDim: number;
  /** What each KV head contributes; `prune` needs it. */
  readonly contributions: readonly number[] | null;
}

/** The weights of `variant`, from those of the parent; called in a scope. Norms are the parent's. */
export function initialAttention(
  origin: AttentionOrigin,
  variant: AttentionSpec,
  kv: KvInitialisation,
): PartWeights {
  if (variant.kind === "linear") return linearAttention(origin);
  if (kv === "average") return averagedHeads(origin, variant.kvHeads);
  return prunedHeads(origin, variant.kvHeads);
}

/** A token's attention to itself alone: W = W_o · repeat(W_v). */
function linearAttention({ part, weights, headDim }: AttentionOrigin): PartWeights {
  const values = repeated(weights.get("v.weight")!, part, headDim); // [heads · headDim, dim]
  return copied(weights, /^norm\./, {
    "linear.weight": weights.get("o.weight")!.matmul(values),
  });
}

/** Each KV head once for each query head that reads it. [kvHeads · headDim, dim] → [heads · headDim, dim]. */
function repeated(weight: Tensor, { heads, kvHeads }: GqaSpec, headDim: number): Tensor {
  const byHead = weight.reshape([kvHeads, 1, headDim, weight.shape[1]]);
  return byHead.expand([kvHeads, heads / kvHeads, headDim, weight.shape[1]])
    .reshape([heads * headDim, weight.shape[1]]);
}

/** KV head j is the mean of those whose query heads it now serves. */
function averagedHeads({ part, weights, headDim }: AttentionOrigin, kvHeads: number): PartWeights {
  const merged = part.kvHeads / kvHeads;
  const mean = (name: string): Tensor => {
    const x = weights.get(name)!; // [kvHeads · headDim, ...]
    return x.reshape([kvHeads, merged, headDim, -1]).mean(1).reshape([-1, ...x.shape.slice(1)]);
  };
  return copied(weights, /^(norm|q|o)\./, changed(weights, /^[kv]\./, mean));
}

/**
 * Keeps the KV heads that contribute most. The query heads of a kept one come first in its group; those of the others
 * are shared out among the groups, and their columns of `o` are 0, so that they learn what to add.
 */
function prunedHeads(
  { part, weights, headDim, contributions }: AttentionOrigin,
  kvHeads: number,
): PartWeights {
  if (contributions === null) {
    throw new TypeError(
      `puzzle: pruning KV heads needs what they contribute. Measure statistics, or choose "average".`,
    );
  }
  const order = [...contributions.keys()].sort((a, b) => contributions[b] - contributions[a]);
  const kept = order.slice(0, kvHeads).sort((a, b) => a - b);
  const removed = order.slice(kvHeads).sort((a, b) => a - b);
  const each = part.heads / part.kvHeads, shared = removed.length / kvHeads;
  // Groups of query heads in their new order, as numbers of the parent's KV heads.
  const groups = kept.flatMap((head, j) => [head, ...removed.slice(j * shared, (j + 1) * shared)]);
  const rows = (name: string, from: readonly number[], size: number): Tensor => {
    const x = weights.get(name)!;
    return Tensor.concat(from.map((i) => x.slice(0, i * size, (i + 1) * size)));
  };
  const o = weights.get("o.weight")!, size = each * headDim; // o: [dim, heads · headDim]
  const columns = groups.map((g) => {
    const own = o.slice(1, g * size, (g + 1) * size);
    return kept.includes(g) ? own : own.mul(0);
  });
  return copied(weights, /^(norm\.|o\.bias)/, {
    ...changed(weights, /^q\./, (name) => rows(name, groups, size)),
    ...changed(weights, /^[kv]\./, (name) => rows(name, kept, headDim)),
    "o.weight": Tensor.concat(columns, 1),
  });
}

/** What becomes of the weights that match. */
function changed(
  weights: PartWeights,
  pattern: RegExp,
  change: (name: string) => Tensor,
): Record<string, Tensor> {
  const names = [...weights.keys()].filter((name) => pattern.test(name));
  return Object.fromEntries(names.map((name) => [name, change(name)]));
}
