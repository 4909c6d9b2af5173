/**
 * What library entries start from.
 *
 * @module
 */
import type { AttentionSpec, Decoder, FfnSpec, State } from "../../nn/mod.ts";
import { entryOf } from "../../nn/state.ts";
import type { Tensor } from "../../tensor/mod.ts";
import { initialAttention, type KvInitialisation } from "./init_attention.ts";
import { initialFfn } from "./init_ffn.ts";
import type { LibraryEntry } from "./library.ts";
import type { PartWeights } from "./part_weights.ts";
import type { BlockStatistics } from "./statistics.ts";

/**
 * The initial weights of an entry by names such as `attention.q.weight`, from the parent's; called in a scope, and read
 * before it ends.
 */
export function initialWeights(
  parent: Decoder,
  statistics: readonly BlockStatistics[],
  { layer, block }: LibraryEntry,
  kv: KvInitialisation,
): State {
  const own = parent.spec.blocks[layer], found = new Map<string, Tensor>();
  const collect = (kind: "attention" | "ffn", weights: PartWeights): void => {
    for (const [name, weight] of weights) found.set(`${kind}.${name}`, weight);
  };
  if (block.attention) {
    const weights = partWeights(parent, layer, "attention");
    collect("attention", attentionOf(block.attention, own.attention, weights));
  }
  if (block.ffn) {
    const weights = partWeights(parent, layer, "ffn");
    collect("ffn", ffnOf(block.ffn, own.ffn, weights));
  }
  return new Map(found.entries().map(([name, weight]) => [name, entryOf(weight.contiguous())]));

  function attentionOf(
    variant: AttentionSpec,
    part: AttentionSpec | null,
    weights: PartWeights,
  ): PartWeights {
    if (part?.kind !== "gqa" || isSame(variant, part)) return weights;
    const contributions = statistics[layer].kvHeads, { headDim } = parent.spec;
    return initialAttention({ part, weights, headDim, contributions }, variant, kv);
  }

  function ffnOf(variant: FfnSpec, part: FfnSpec | null, weights: PartWeights): PartWeights {
    const contributions = statistics[layer].channels;
    if (part === null || contributions === null || isSame(variant, part)) return weights;
    return initialFfn({ weights, contributions }, variant);
  }
}

/** Whether a variant is the parent's own part, as it is in pairs of which only the other differs. */
function isSame(variant: AttentionSpec | FfnSpec, part: AttentionSpec | FfnSpec): boolean {
  return JSON.stringify(variant) === JSON.stringify(part);
}

/** The f32 weights of one part of a block, by their names inside it. */
function partWeights(parent: Decoder, layer: number, kind: "attention" | "ffn"): PartWeights {
  const prefix = `blocks.${layer}.${kind}.`;
  const own = parent.weights().entries().filter(([name]) => name.startsWith(prefix));
  return new Map(own.map(([name, weight]) => [name.slice(prefix.length), weight.to("f32")]));
}
