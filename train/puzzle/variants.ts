/**
 * What may stand in the place of a block's attention and of its feed-forward part.
 *
 * @module
 */
import type {
  AttentionSpec,
  BlockSpec,
  DecoderSpec,
  FfnSpec,
  GatedSpec,
  GqaSpec,
  Relu2Spec,
} from "../../nn/mod.ts";

/** Something that may stand in the place of one part of one block. */
export interface Variant<P extends AttentionSpec | FfnSpec = AttentionSpec | FfnSpec> {
  /** Such as `parent`, `kv2`, `50%`, `linear` or `none`; the only one of its name in its place. */
  readonly name: string;
  /** What it is; null when the block does without. */
  readonly part: P | null;
}

/** The variants of one block's parts; the first of each is the parent's own. */
export interface BlockVariants {
  /** In the place of attention. */
  readonly attention: readonly Variant<AttentionSpec>[];
  /** In the place of the feed-forward part. */
  readonly ffn: readonly Variant<FfnSpec>[];
}

/** Which variants there are. */
export interface VariantOptions {
  /** Numbers of KV heads; those that the parent's block does not exceed are left out. By default 8, 4, 2 and 1. */
  readonly kvHeads?: readonly number[];
  /** Shares of the feed-forward width; 0.87, 0.75, 0.5, 0.25, 0.2 and 0.1 by default. */
  readonly widths?: readonly number[];
  /** What widths are rounded to; 8 by default, or 1 where the parent's width is no multiple of 4. DeciLM's `ffn_mult` needs 256. */
  readonly widthMultiple?: number;
  /** Whether one matrix may replace a part; true by default. */
  readonly linear?: boolean;
  /** Whether a part may be removed; true by default. */
  readonly none?: boolean;
}

/** The search space of the Puzzle paper (Bercovich et al., 2024, section 2). */
const publishedKvHeads = [8, 4, 2, 1];
const publishedWidths = [0.87, 0.75, 0.5, 0.25, 0.2, 0.1];

/**
 * The variants of every block of a decoder. Parts that the parent does not have stay away, and a part that is one matrix
 * already can only be removed.
 *
 * @example
 * ```ts
 * import type { DecoderSpec } from "@denotron/denotron/nn";
 * import { blockVariants } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * const spec: DecoderSpec = {
 *   vocab: 512, dim: 64, context: 512, headDim: 8, tied: true,
 *   norm: { kind: "rms_norm", eps: 1e-5 },
 *   rope: { theta: 10_000, fraction: 1, scaling: null },
 *   blocks: [{
 *     attention: { kind: "gqa", heads: 8, kvHeads: 4 },
 *     ffn: { kind: "gated", hidden: 160, activation: "silu" },
 *   }],
 * };
 * const [{ attention, ffn }] = blockVariants(spec, { widths: [0.5] });
 * assert.deepEqual(attention.map(({ name }) => name), ["parent", "kv2", "kv1", "linear", "none"]);
 * assert.deepEqual(ffn.map(({ name }) => name), ["parent", "50%", "linear", "none"]);
 * ```
 */
export function blockVariants(spec: DecoderSpec, options: VariantOptions = {}): BlockVariants[] {
  return spec.blocks.map(({ attention, ffn }) => ({
    attention: withReplacements(attention, attentionVariants(attention, options), options),
    ffn: withReplacements(ffn, ffnVariants(ffn, options), options),
  }));
}

/** Smaller forms of an attention part. */
function attentionVariants(
  part: AttentionSpec | null,
  { kvHeads: numbers = publishedKvHeads }: VariantOptions,
): Variant<GqaSpec>[] {
  if (part?.kind !== "gqa") return [];
  return numbers
    .filter((kvHeads) => kvHeads < part.kvHeads && part.kvHeads % kvHeads === 0)
    .map((kvHeads) => ({ name: `kv${kvHeads}`, part: { ...part, kvHeads } }));
}

/** Narrower forms of a feed-forward part. */
function ffnVariants(
  part: FfnSpec | null,
  { widths = publishedWidths, widthMultiple }: VariantOptions,
): Variant<GatedSpec | Relu2Spec>[] {
  if (part === null || part.kind === "linear") return [];
  const multiple = widthMultiple ?? (part.hidden % 4 === 0 ? 8 : 1);
  const seen = new Set<number>([part.hidden]);
  return widths.flatMap((share) => {
    const hidden = Math.max(1, Math.round(share * part.hidden / multiple)) * multiple;
    if (hidden >= part.hidden || seen.has(hidden)) return [];
    seen.add(hidden);
    return [{ name: `${Number((100 * share).toFixed(2))}%`, part: { ...part, hidden } }];
  });
}

function withReplacements<P extends AttentionSpec | FfnSpec>(
  part: P | null,
  smaller: readonly Variant<P>[],
  { linear = true, none = true }: VariantOptions,
): Variant<P | { readonly kind: "linear" }>[] {
  const parent = { name: "parent", part };
  if (part === null) return [parent];
  return [
    parent,
    ...smaller,
    ...(linear && part.kind !== "linear"
      ? [{ name: "linear", part: { kind: "linear" } as const }]
      : []),
    ...(none ? [{ name: "none", part: null }] : []),
  ];
}

/** One choice for a block: a variant for each of its parts. */
export interface BlockChoice {
  /** The variant of attention, by name. */
  readonly attention: string;
  /** The variant of the feed-forward part, by name. */
  readonly ffn: string;
}

/** The choice that changes nothing. */
export const parentChoice: BlockChoice = { attention: "parent", ffn: "parent" };

/** How a choice is written: `kv2 + 50%`. */
export function choiceName({ attention, ffn }: BlockChoice): string {
  return `${attention} + ${ffn}`;
}

/** Every choice for a block; the parent's comes first. */
export function choicesOf({ attention, ffn }: BlockVariants): BlockChoice[] {
  return attention.flatMap((a) => ffn.map((f) => ({ attention: a.name, ffn: f.name })));
}

/** What a choice makes of a block. Throws RangeError for a variant that is not there. */
export function chosenBlock(variants: BlockVariants, choice: BlockChoice): BlockSpec {
  return {
    attention: variantNamed(variants.attention, choice.attention).part,
    ffn: variantNamed(variants.ffn, choice.ffn).part,
  };
}

function variantNamed<P extends AttentionSpec | FfnSpec>(
  variants: readonly Variant<P>[],
  name: string,
): Variant<P> {
  const found = variants.find((variant) => variant.name === name);
  if (found) return found;
  throw new RangeError(
    `puzzle: there is no variant "${name}" here. Choose one of ${
      variants.map(({ name }) => name).join(", ")
    }.`,
  );
}
