/**
 * Fusion of a child, by how much its feed-forward parts depend on each other.
 *
 * @module
 */
import { Decoder } from "../../nn/mod.ts";
import type { TokenBatch } from "../stage.ts";
import { dependencies } from "./dependency.ts";
import { fuse, type FusedModel, fusionGroups, type FusionOptions } from "./fusion.ts";
import type { ModelData } from "./realise.ts";

/** What is to know of a fusion; all of it can be written as JSON. */
export interface FusionRecord {
  /** Blocks of the child whose parts became one. */
  readonly groups: readonly (readonly number[])[];
  /** The run that was looked at, and how much its parts depend on each other. */
  readonly dependency: readonly (readonly number[])[];
  /** See `FusedModel.depths`. */
  readonly depths: readonly number[];
}

/** How a child is fused. */
export interface FuseChildOptions {
  /** Which parts become one; null for none. */
  readonly fusion: FusionOptions | null;
  /** Text on which it is measured how much parts depend on each other. */
  readonly calibration: readonly TokenBatch[];
  /** What is computed in. */
  readonly dtype: "f32" | "bf16";
}

/** Measures dependencies where there is something to fuse, and fuses; without groups the model is the child as it was. */
export function fuseChild(
  child: ModelData,
  { fusion, calibration, dtype }: FuseChildOptions,
): { readonly record: FusionRecord; readonly fused: ModelData } {
  const { spec } = child, none = { groups: [], dependency: [], depths: [] };
  if (!fusion || fusionGroups(spec, fusion).length === 0) return { record: none, fused: child };
  const run = [...spec.blocks.keys()].filter((i) => {
    const { ffn } = spec.blocks[i];
    return ffn !== null && ffn.kind !== "linear";
  });
  using decoder = Decoder.load(child, { dtype, train: false });
  const dependency = dependencies(decoder, run, calibration);
  const groups = fusionGroups(
    spec,
    fusion,
    (i, j) => dependency[run.indexOf(i)][run.indexOf(j)],
  );
  if (groups.length === 0) return { record: { ...none, dependency }, fused: child };
  const fused: FusedModel = fuse(child, groups, fusion);
  return { record: { groups, dependency, depths: fused.depths }, fused };
}
