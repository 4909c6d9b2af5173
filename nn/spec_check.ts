import type { BlockSpec, DecoderSpec } from "./spec.ts";

/** Thrown when a spec or a config can't be used; `key` names the field at fault. */
export class SpecError extends Error {
  /** The class's name. */
  override readonly name = "SpecError";
  /** The path of the field, such as `blocks[1].ffn.hidden`. */
  readonly key: string;

  /** Describes the field at fault. */
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

/** Throws {@linkcode SpecError} when a file claims a number of blocks that can't be. */
export function refuseBlockCount(key: string, count: number): void {
  if (Number.isSafeInteger(count) && count >= 0 && count <= MAX_BLOCKS) return;
  throw new SpecError(
    key,
    `spec: ${key} is not a number of blocks, ${count} (at most ${MAX_BLOCKS}). Correct it.`,
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
