/**
 * FFN Fusion: feed-forward parts that follow each other without attention between them become one wide part, which runs
 * them side by side.
 *
 * Source: Bercovich et al., "FFN Fusion", 2025.
 *
 * @module
 */
import {
  type BlockSpec,
  type CheckpointEntry,
  type DecoderSpec,
  type FfnSpec,
  fromFloat32,
  type GatedSpec,
  type Relu2Spec,
  toFloat32,
} from "../../nn/mod.ts";
import { fusedPart, type PartNumbers } from "./fused_part.ts";
import type { ModelData } from "./realise.ts";

/** Blocks whose feed-forward parts become one, by their places in order; only the first may have attention. */
export type FusionGroup = readonly number[];

/** Which parts fuse. */
export interface FusionOptions {
  /** Whether the last feed-forward part of each run stays alone, as published; true by default. */
  readonly keepLast?: boolean;
  /** Whether a run begins with the feed-forward part of the block before it, behind that block's attention; false by default. */
  readonly withFirst?: boolean;
  /** The most that a fused part may be wide; any width by default. */
  readonly maxHidden?: number;
  /** The widths of fused parts are rounded up to a multiple of this with channels of 0; 1 by default. DeciLM's `ffn_mult` needs 256. */
  readonly widthMultiple?: number;
  /** The largest dependency between parts that fuse; any by default. */
  readonly maxDependency?: number;
}

/** A fused model. */
export interface FusedModel extends ModelData {
  /** For each number of blocks of the fused model, 0 first, how many of the original it stands for. */
  readonly depths: readonly number[];
}

/**
 * The groups of feed-forward parts to fuse: runs of blocks without attention, cut where they get too wide, and where
 * `dependency(i, j)`, how much the part of block j depends on that of block i, is too large.
 */
export function fusionGroups(
  spec: DecoderSpec,
  options: FusionOptions = {},
  dependency: (i: number, j: number) => number = () => 0,
): FusionGroup[] {
  const { keepLast = true, maxHidden = Infinity, maxDependency = Infinity } = options;
  return attentionFreeRuns(spec, options.withFirst ?? false).flatMap((run) => {
    const groups: number[][] = [];
    for (const block of keepLast ? run.slice(0, -1) : run) {
      const last = groups.at(-1), width = widthOf(spec, [...last ?? [], block]);
      const depends = last?.some((earlier) => dependency(earlier, block) > maxDependency);
      if (last && width <= maxHidden && !depends && isAlike(spec, last[0], block)) last.push(block);
      else groups.push([block]);
    }
    return groups.filter((group) => group.length > 1);
  });
}

/** Blocks with a feed-forward part that follow each other without attention between them, two at least. */
function attentionFreeRuns({ blocks }: DecoderSpec, withFirst: boolean): number[][] {
  const runs: number[][] = [];
  let run: number[] = [];
  blocks.forEach(({ attention, ffn }, i) => {
    if (attention !== null) {
      runs.push(run);
      run = [];
    }
    if (isWide(ffn) && (attention === null || withFirst)) run.push(i);
    else if (ffn !== null) { // a linear part, or one that may not begin a run
      runs.push(run);
      run = [];
    }
  });
  return [...runs, run].filter(({ length }) => length > 1);
}

function isWide(part: FfnSpec | null): part is GatedSpec | Relu2Spec {
  return part !== null && part.kind !== "linear";
}

function isAlike({ blocks }: DecoderSpec, a: number, b: number): boolean {
  const [first, second] = [blocks[a].ffn, blocks[b].ffn];
  return first?.kind === second?.kind;
}

function widthOf({ blocks }: DecoderSpec, group: FusionGroup): number {
  return group.reduce((sum, i) => sum + (blocks[i].ffn as GatedSpec | Relu2Spec).hidden, 0);
}

/**
 * A model in which the feed-forward parts of each group are one: x + Σ_j FFN_j(norm_j x), where x is what the first of them
 * read, instead of one after the other. The fused part stands in the first block; the other blocks are gone, and so are
 * blocks without any part.
 */
export function fuse(
  model: ModelData,
  groups: readonly FusionGroup[],
  { widthMultiple = 1 }: Pick<FusionOptions, "widthMultiple"> = {},
): FusedModel {
  const { spec, entries } = model, gone = new Set(groups.flatMap((group) => group.slice(1)));
  const outside = entries.entries().filter(([name]) => !name.startsWith("blocks."));
  const found = new Map<string, CheckpointEntry>(outside), blocks: BlockSpec[] = [];
  const depths: number[] = [0];
  spec.blocks.forEach((block, i) => {
    const isEmpty = block.attention === null && block.ffn === null;
    const group = groups.find(([first]) => first === i);
    if (!gone.has(i) && !isEmpty) {
      const to = `blocks.${blocks.length}.`;
      const { part, weights } = group
        ? fuseGroup(model, group, widthMultiple)
        : { part: block.ffn, weights: ownWeights(model, i, "ffn") };
      blocks.push({ attention: block.attention, ffn: part });
      depths.push(0);
      for (const [name, entry] of ownWeights(model, i, "attention")) {
        found.set(`${to}attention.${name}`, entry);
      }
      for (const [name, entry] of weights) found.set(`${to}ffn.${name}`, entry);
    }
    depths[depths.length - 1] = i + 1; // blocks that are gone belong to the one before them
  });
  depths[0] = 0;
  return { spec: { ...spec, blocks }, entries: found, depths };
}

function ownWeights(
  { entries }: ModelData,
  layer: number,
  kind: "attention" | "ffn",
): [string, CheckpointEntry][] {
  const prefix = `blocks.${layer}.${kind}.`;
  return [...entries].filter(([name]) => name.startsWith(prefix))
    .map(([name, entry]) => [name.slice(prefix.length), entry]);
}

function fuseGroup(
  model: ModelData,
  group: FusionGroup,
  widthMultiple: number,
): { readonly part: FfnSpec; readonly weights: [string, CheckpointEntry][] } {
  const { spec } = model, first = spec.blocks[group[0]].ffn as GatedSpec | Relu2Spec;
  const parts = group.map((layer): PartNumbers => {
    const own = ownWeights(model, layer, "ffn");
    return new Map(own.map(([name, { dtype, read }]) => [name, toFloat32(dtype, read())]));
  });
  const hidden = Math.ceil(widthOf(spec, group) / widthMultiple) * widthMultiple;
  const fused = fusedPart(parts, { dim: spec.dim, hidden, norm: spec.norm.kind });
  const { dtype } = model.entries.get(`blocks.${group[0]}.ffn.down.weight`)!;
  const weights = fused.entries().map(([name, numbers]): [string, CheckpointEntry] => [name, {
    dtype,
    shape: shapeOf(name, numbers.length, spec.dim),
    read: () => fromFloat32(dtype, numbers),
  }]);
  const bias = fused.has("down.bias") ? { bias: true } : {};
  const { bias: _, ...plain } = first;
  return { part: { ...plain, hidden, ...bias }, weights: [...weights] };
}

function shapeOf(name: string, size: number, dim: number): number[] {
  if (name.startsWith("norm.") || name.endsWith(".bias")) return [size];
  return name === "down.weight" ? [dim, size / dim] : [size / dim, dim];
}
