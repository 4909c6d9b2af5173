import type { RopeScaling } from "../tensor/mod.ts";

export { refuseBlockCount, SpecError, validateSpec } from "./spec_check.ts";

/** Grouped-query attention: softmax(q kᵀ / √headDim) v, with `heads / kvHeads` query heads per key. */
export interface GqaSpec {
  /** Tells the kinds of attention apart. */
  readonly kind: "gqa";
  /** Query heads. */
  readonly heads: number;
  /** Key and value heads; divides `heads`. */
  readonly kvHeads: number;
  /** How many of the latest tokens a token sees, itself included; all of them when absent. */
  readonly window?: number;
  /** Whether q, k, v and o have a bias; false when absent. */
  readonly bias?: boolean;
}

/** One matrix [dim, dim] in place of attention or of the feed-forward part. */
export interface LinearSpec {
  /** Tells the kinds of parts apart. */
  readonly kind: "linear";
}

/** down(silu(gate x) ⊙ up x), the feed-forward part of Llama. */
export interface GatedSpec {
  /** Tells the kinds of feed-forward parts apart. */
  readonly kind: "gated";
  /** Rows of gate and up. */
  readonly hidden: number;
  /** The function on the gate, silu x = x · sigmoid x. */
  readonly activation: "silu";
  /** Whether gate, up and down have a bias; false when absent. */
  readonly bias?: boolean;
}

/** down(relu(up x)²), the feed-forward part of Nemotron-4. */
export interface Relu2Spec {
  /** Tells the kinds of feed-forward parts apart. */
  readonly kind: "relu2";
  /** Rows of up. */
  readonly hidden: number;
  /** Whether up and down have a bias; false when absent. */
  readonly bias?: boolean;
}

/** The attention of one block. */
export type AttentionSpec = GqaSpec | LinearSpec;
/** The feed-forward part of one block. */
export type FfnSpec = GatedSpec | Relu2Spec | LinearSpec;

/**
 * One residual block, x += attention(norm x), then x += ffn(norm x). A part that is null isn't
 * there at all: no norm, no parameters, no KV cache. Both null is the identity.
 */
export interface BlockSpec {
  /** The first part; null when the block has none. */
  readonly attention: AttentionSpec | null;
  /** The second part; null when the block has none. */
  readonly ffn: FfnSpec | null;
}

/** x / √(mean x² + eps) ⊙ weight. */
export interface RmsNormSpec {
  /** Tells the kinds of norms apart. */
  readonly kind: "rms_norm";
  /** Added to the mean square. */
  readonly eps: number;
}

/** (x − mean) / √(variance + eps) ⊙ (1 + weight) + bias. */
export interface LayerNorm1pSpec {
  /** Tells the kinds of norms apart. */
  readonly kind: "layer_norm_1p";
  /** Added to the variance. */
  readonly eps: number;
}

/** Rotary positions over the first `fraction` of each head, frequency k is theta^(−2k/d). */
export interface RopeSpec {
  /** The base of the frequencies. */
  readonly theta: number;
  /** How much of each head rotates, above 0 to 1. */
  readonly fraction: number;
  /** How long wavelengths are stretched; null when none are. */
  readonly scaling: RopeScaling | null;
}

/** A decoder-only transformer as data: what a checkpoint carries and what a search edits. */
export interface DecoderSpec {
  /** Token ids. */
  readonly vocab: number;
  /** Size of the residual stream. */
  readonly dim: number;
  /** The longest sequence, in tokens. */
  readonly context: number;
  /** Size of one attention head. */
  readonly headDim: number;
  /** The norm before each part and before the head. */
  readonly norm: RmsNormSpec | LayerNorm1pSpec;
  /** Rotary positions of queries and keys. */
  readonly rope: RopeSpec;
  /** Whether the head is the embedding, transposed. */
  readonly tied: boolean;
  /** From the embedding to the head. */
  readonly blocks: readonly BlockSpec[];
}

/** A parameter's name and shape; matrices are [out, in]. */
export interface ParameterSpec {
  /** The dotted name, such as `blocks.3.attention.q.weight`. */
  readonly name: string;
  /** Sizes of the axes. */
  readonly shape: readonly number[];
}

/**
 * Every parameter of a decoder, in the order of the forward pass: the embedding, each block's
 * attention and feed-forward part, the last norm, and the head unless it is tied.
 *
 * @example
 * ```ts
 * import { type DecoderSpec, parameters } from "@denotron/denotron/nn";
 * import assert from "node:assert/strict";
 *
 * const spec: DecoderSpec = {
 *   vocab: 512, dim: 64, context: 512, headDim: 8, tied: true,
 *   norm: { kind: "rms_norm", eps: 1e-5 },
 *   rope: { theta: 10_000, fraction: 1, scaling: null },
 *   blocks: [{ attention: null, ffn: { kind: "linear" } }],
 * };
 * assert.deepEqual(parameters(spec), [
 *   { name: "embedding.weight", shape: [512, 64] },
 *   { name: "blocks.0.ffn.norm.weight", shape: [64] },
 *   { name: "blocks.0.ffn.linear.weight", shape: [64, 64] },
 *   { name: "norm.weight", shape: [64] },
 * ]);
 * ```
 */
export function parameters(spec: DecoderSpec): ParameterSpec[] {
  const { vocab, dim } = spec;
  return [
    { name: "embedding.weight", shape: [vocab, dim] },
    ...spec.blocks.flatMap((block, i) => blockParameters(spec, block, `blocks.${i}`)),
    ...normParameters("norm", spec),
    ...(spec.tied ? [] : [{ name: "head.weight", shape: [vocab, dim] }]),
  ];
}

/** The parameters of one block, named from `prefix`. */
export function blockParameters(
  spec: DecoderSpec,
  block: BlockSpec,
  prefix: string,
): ParameterSpec[] {
  return [
    ...partParameters(spec, block.attention, `${prefix}.attention`),
    ...partParameters(spec, block.ffn, `${prefix}.ffn`),
  ];
}

function partParameters(
  spec: DecoderSpec,
  part: AttentionSpec | FfnSpec | null,
  prefix: string,
): ParameterSpec[] {
  if (part === null) return [];
  const bias = part.kind !== "linear" && part.bias === true;
  const layers = partLayers(spec, part).flatMap(([name, out, size]) => [
    { name: `${prefix}.${name}.weight`, shape: [out, size] },
    ...(bias ? [{ name: `${prefix}.${name}.bias`, shape: [out] }] : []),
  ]);
  return [...normParameters(`${prefix}.norm`, spec), ...layers];
}

/** The linear layers of a part as [name, out, in]. */
function partLayers(
  { dim, headDim }: DecoderSpec,
  part: AttentionSpec | FfnSpec,
): [string, number, number][] {
  switch (part.kind) {
    case "gqa": {
      const q = part.heads * headDim;
      const kv = part.kvHeads * headDim;
      return [["q", q, dim], ["k", kv, dim], ["v", kv, dim], ["o", dim, q]];
    }
    case "gated":
      return [["gate", part.hidden, dim], ["up", part.hidden, dim], ["down", dim, part.hidden]];
    case "relu2":
      return [["up", part.hidden, dim], ["down", dim, part.hidden]];
    case "linear":
      return [["linear", dim, dim]];
  }
}

function normParameters(prefix: string, { norm, dim }: DecoderSpec): ParameterSpec[] {
  const weight = { name: `${prefix}.weight`, shape: [dim] };
  if (norm.kind === "rms_norm") return [weight];
  return [weight, { name: `${prefix}.bias`, shape: [dim] }];
}

/** A text that is equal for two blocks exactly when they compute the same function. */
export function blockKey({ attention, ffn }: BlockSpec): string {
  return `${partKey(attention)} | ${partKey(ffn)}`;
}

function partKey(part: AttentionSpec | FfnSpec | null): string {
  switch (part?.kind) {
    case undefined:
      return "none";
    case "gqa":
      return `gqa ${part.heads} ${part.kvHeads} ${part.window ?? "all"} ${part.bias === true}`;
    case "gated":
      return `gated ${part.hidden} ${part.activation} ${part.bias === true}`;
    case "relu2":
      return `relu2 ${part.hidden} ${part.bias === true}`;
    case "linear":
      return "linear";
  }
}
