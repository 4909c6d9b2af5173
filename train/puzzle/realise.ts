/**
 * From choices to a model.
 *
 * @module
 */
import {
  castEntries,
  type CheckpointEntry,
  Decoder,
  type DecoderSpec,
  type State,
} from "../../nn/mod.ts";
import type { Comparison, Distance } from "../compare.ts";
import { blockCost, type CostTable } from "./costs.ts";
import type { BlockLibrary } from "./library.ts";
import type { ScoreName } from "./scores.ts";
import type { SearchSpace } from "./space.ts";
import {
  type BlockChoice,
  type BlockVariants,
  choiceName,
  choicesOf,
  chosenBlock,
} from "./variants.ts";

/** A model that is not a decoder yet: what a folder is written from, or a decoder loaded. */
export interface ModelData {
  /** The architecture. */
  readonly spec: DecoderSpec;
  /** Weights by parameter name. */
  readonly entries: State;
}

/** What a search chooses from: every choice of every block, in the order of `choicesOf()`. */
export function searchSpace(
  variants: readonly BlockVariants[],
  scores: readonly (readonly Distance[])[],
  costs: CostTable,
  score: ScoreName,
): SearchSpace {
  const layers = variants.map((own, layer) =>
    choicesOf(own).map((choice, j) => ({
      name: choiceName(choice),
      score: scores[layer][j][score],
      cost: blockCost(costs, chosenBlock(own, choice)),
    }))
  );
  return { layers, base: costs.base, scenario: costs.scenario };
}

/** The choices that an architecture means. */
export function choicesAt(
  variants: readonly BlockVariants[],
  architecture: readonly number[],
): BlockChoice[] {
  return architecture.map((j, layer) => choicesOf(variants[layer])[j]);
}

/** The architecture of a choice for each block. */
export function realisedSpec(
  { spec, variants }: Pick<BlockLibrary, "spec" | "variants">,
  choices: readonly BlockChoice[],
): DecoderSpec {
  return { ...spec, blocks: choices.map((choice, layer) => chosenBlock(variants[layer], choice)) };
}

/**
 * The parent with a choice for each block: weights are the library's where they differ from the parent's, and stored as
 * the parent's are.
 */
export function realise(
  parent: ModelData,
  library: BlockLibrary,
  choices: readonly BlockChoice[],
): ModelData {
  const outside = parent.entries.entries().filter(([name]) => !name.startsWith("blocks."));
  const entries = new Map<string, CheckpointEntry>(outside);
  choices.forEach((choice, layer) => {
    for (const [name, entry] of library.weights(layer, choice, parent.entries)) {
      entries.set(`blocks.${layer}.${name}`, entry);
    }
  });
  const { dtype } = parent.entries.get("embedding.weight")!;
  return { spec: realisedSpec(library, choices), entries: castEntries(entries, dtype) };
}

/** How far the model of an architecture is from the parent, with the library's weights. */
export function realisedDistance(
  { parent, dtype = "f32" }: { readonly parent: ModelData; readonly dtype?: "f32" | "bf16" },
  library: BlockLibrary,
  architecture: readonly number[],
  comparison: Comparison,
): Distance {
  const model = realise(parent, library, choicesAt(library.variants, architecture));
  using decoder = Decoder.load(model, { dtype, train: false });
  return comparison.to(decoder);
}
