/** Grouped-query attention: softmax(q kᵀ / √headDim) v, with `heads / kvHeads` query heads per key. */
export interface Gqa {
  readonly kind: "gqa";
  readonly heads: number;
  readonly kvHeads: number;
  /** How many of the latest tokens a token sees, itself included; all of them when absent. */
  readonly window?: number;
  /** Whether q, k, v and o have a bias; false when absent. */
  readonly bias?: boolean;
}

/** One matrix [dim, dim] in place of attention or of the feed-forward part. */
export interface Linear {
  readonly kind: "linear";
}

/** down(silu(gate x) ⊙ up x), the feed-forward part of Llama. */
export interface Gated {
  readonly kind: "gated";
  readonly hidden: number;
  readonly activation: "silu";
  /** Whether gate, up and down have a bias; false when absent. */
  readonly bias?: boolean;
}

/** down(relu(up x)²), the feed-forward part of Nemotron-4. */
export interface Relu2 {
  readonly kind: "relu2";
  readonly hidden: number;
  /** Whether up and down have a bias; false when absent. */
  readonly bias?: boolean;
}

/** The attention of one block. */
export type AttentionSpec = Gqa | Linear;
/** The feed-forward part of one block. */
export type FfnSpec = Gated | Relu2 | Linear;

/**
 * One residual block, x += attention(norm x), then x += ffn(norm x). A part that is null isn't
 * there at all: no norm, no parameters, no KV cache. Both null is the identity.
 */
export interface BlockSpec {
  readonly attention: AttentionSpec | null;
  readonly ffn: FfnSpec | null;
}

/** x / √(mean x² + eps) ⊙ weight. */
export interface RmsNorm {
  readonly kind: "rms_norm";
  readonly eps: number;
}

/** (x − mean) / √(variance + eps) ⊙ (1 + weight) + bias. */
export interface LayerNorm1p {
  readonly kind: "layer_norm_1p";
  readonly eps: number;
}

/** How Llama 3 stretches rotary wavelengths beyond the context that it was first trained on. */
export interface Llama3Scaling {
  readonly kind: "llama3";
  readonly factor: number;
  readonly lowFrequency: number;
  readonly highFrequency: number;
  /** The context of the first training, in tokens. */
  readonly originalContext: number;
}

/** Rotary positions over the first `fraction` of each head, frequency k is theta^(−2k/d). */
export interface Rope {
  readonly theta: number;
  readonly fraction: number;
  readonly scaling: Llama3Scaling | null;
}

/** A decoder-only transformer as data: what a checkpoint carries and what a search edits. */
export interface DecoderSpec {
  readonly vocab: number;
  readonly dim: number;
  /** The longest sequence, in tokens. */
  readonly context: number;
  readonly headDim: number;
  readonly norm: RmsNorm | LayerNorm1p;
  readonly rope: Rope;
  /** Whether the head is the embedding, transposed. */
  readonly tied: boolean;
  readonly blocks: readonly BlockSpec[];
}

/** A parameter's name and shape; matrices are [out, in]. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Thrown when a spec or a config can't be used; `key` names the field at fault. */
export class SpecError extends Error {
  override readonly name = "SpecError";
  readonly key: string;

  constructor(key: string, message: string) {
    super(message);
    this.key = key;
  }
}

/**
 * Checks that a spec describes a decoder that can be built. Throws {@linkcode SpecError}.
 *
 * @example
 * ```ts
 * import { type DecoderSpec, validateSpec } from "@denotron/denotron/nn";
 * import assert from "node:assert/strict";
 *
 * const spec: DecoderSpec = {
 *   vocab: 512, dim: 64, context: 512, headDim: 8, tied: true,
 *   norm: { kind: "rms_norm", eps: 1e-5 },
 *   rope: { theta: 10_000, fraction: 1, scaling: null },
 *   blocks: [{ attention: { kind: "gqa", heads: 8, kvHeads: 3 }, ffn: null }],
 * };
 * assert.throws(() => validateSpec(spec), /kvHeads must divide heads/);
 * ```
 */
export function validateSpec(spec: DecoderSpec): void {
  for (const key of ["vocab", "dim", "context", "headDim"] as const) positive(key, spec[key]);
  above0("norm.eps", spec.norm.eps);
  if (spec.norm.kind !== "rms_norm" && spec.norm.kind !== "layer_norm_1p") {
    throw unknownKind("norm", spec.norm, "rms_norm or layer_norm_1p");
  }
  validateRope(spec);
  if (spec.blocks.length === 0) {
    throw new SpecError("blocks", "spec: blocks is empty, []. List at least one block.");
  }
  spec.blocks.forEach((block, i) => validateBlock(`blocks[${i}]`, block));
}

/** More blocks than any decoder has: a file that claims more is refused before they are listed. */
const MAX_BLOCKS = 100_000;

/** Throws {@linkcode SpecError} when a file claims more blocks than a decoder can have. */
export function refuseBlockCount(key: string, count: number): void {
  if (count <= MAX_BLOCKS) return;
  throw new SpecError(
    key,
    `spec: ${key} is too large, ${count} (at most ${MAX_BLOCKS}). Correct it.`,
  );
}

function validateRope({ rope, headDim }: DecoderSpec): void {
  above0("rope.theta", rope.theta);
  const rotated = rope.fraction * headDim;
  if (!(rope.fraction > 0 && rope.fraction <= 1) || rotated % 2 !== 0) {
    throw new SpecError(
      "rope.fraction",
      `spec: rope.fraction must select an even number of a head's values, ${rope.fraction} of ` +
        `${headDim} (${rotated}). Choose a fraction up to 1 that does.`,
    );
  }
  if (rope.scaling === null) return;
  if (rope.scaling.kind !== "llama3") throw unknownKind("rope.scaling", rope.scaling, "llama3");
  const { factor, lowFrequency, highFrequency, originalContext } = rope.scaling;
  above0("rope.scaling.factor", factor);
  above0("rope.scaling.lowFrequency", lowFrequency);
  positive("rope.scaling.originalContext", originalContext);
  if (!(highFrequency > lowFrequency)) {
    throw new SpecError(
      "rope.scaling.highFrequency",
      `spec: rope.scaling.highFrequency must exceed lowFrequency, (${highFrequency} vs ` +
        `${lowFrequency}). Llama 3 uses 4 and 1.`,
    );
  }
}

function validateBlock(key: string, { attention, ffn }: BlockSpec): void {
  if (attention?.kind === "gqa") {
    const { heads, kvHeads, window } = attention;
    positive(`${key}.attention.heads`, heads);
    positive(`${key}.attention.kvHeads`, kvHeads);
    if (window !== undefined) positive(`${key}.attention.window`, window);
    if (heads % kvHeads !== 0) {
      throw new SpecError(
        `${key}.attention.kvHeads`,
        `spec: kvHeads must divide heads in ${key}.attention, (${kvHeads} vs ${heads}). ` +
          `Choose a divisor of ${heads}.`,
      );
    }
  } else if (attention !== null && attention?.kind !== "linear") {
    throw unknownKind(`${key}.attention`, attention, "gqa or linear, or null for no attention");
  }
  if (ffn?.kind === "gated" || ffn?.kind === "relu2") {
    positive(`${key}.ffn.hidden`, ffn.hidden);
    if (ffn.kind === "gated" && ffn.activation !== "silu") {
      throw new SpecError(
        `${key}.ffn.activation`,
        `spec: unknown activation in ${key}.ffn, "${ffn.activation}". Use "silu".`,
      );
    }
  } else if (ffn !== null && ffn?.kind !== "linear") {
    throw unknownKind(
      `${key}.ffn`,
      ffn,
      "gated, relu2 or linear, or null for no feed-forward part",
    );
  }
}

function positive(key: string, value: number): void {
  if (Number.isSafeInteger(value) && value > 0) return;
  throw new SpecError(key, `spec: ${key} must be a positive whole number, ${value}. Correct it.`);
}

function above0(key: string, value: number): void {
  if (Number.isFinite(value) && value > 0) return;
  throw new SpecError(key, `spec: ${key} must be a number above 0, ${value}. Correct it.`);
}

function unknownKind(key: string, value: unknown, known: string): SpecError {
  const kind = (value as { kind?: unknown } | undefined)?.kind;
  return new SpecError(key, `spec: unknown kind of ${key}, ${JSON.stringify(kind)}. Use ${known}.`);
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
