import {
  type AttentionSpec,
  type BlockSpec,
  type DecoderSpec,
  type FfnSpec,
  refuseBlockCount,
  type RopeSpec,
  validateSpec,
} from "../spec.ts";
import type { RopeScaling } from "../../tensor/mod.ts";

import { ggufError, type GgufHeader, type GgufValue } from "./gguf_format.ts";
import { architectureOf } from "./huggingface_config.ts";

/** Defaults of Llama 3's rotary scaling, for files that hold its factors only. */
const LLAMA3 = { lowFrequency: 1, highFrequency: 4, originalContext: 8192 };

/** Keys that no standard names are kept apart, as the format asks. */
const OWN_PREFIX = "denotron.";

/**
 * Reads a decoder's spec out of the metadata of a `llama` or `deci` model; `factors` are the
 * numbers of its `rope_freqs.weight`, or null when it has none. Throws FormatError or SpecError.
 */
export function specFromGguf(header: GgufHeader, factors: Float32Array | null): DecoderSpec {
  const metadata = new MetadataReader(header.metadata);
  const embedding = header.tensors.get("token_embd.weight");
  if (embedding === undefined) {
    throw ggufError(
      "Invalid",
      "the file has no token_embd.weight, so it holds no model",
      "Give the model's file, not its vocabulary's.",
    );
  }
  const dim = metadata.number("embedding_length");
  const blocks = readBlocks(metadata, header);
  const mostHeads = Math.max(...blocks.map(({ attention: a }) => a?.kind === "gqa" ? a.heads : 0));
  const headDim = metadata.number("attention.key_length", dim / mostHeads);
  const spec: DecoderSpec = {
    vocab: embedding.shape[0],
    dim,
    context: metadata.number("context_length"),
    headDim,
    norm: { kind: "rms_norm", eps: metadata.number("attention.layer_norm_rms_epsilon") },
    rope: readRope(metadata, headDim, factors),
    tied: !header.tensors.has("output.weight"),
    blocks,
  };
  validateSpec(spec);
  if (factors !== null) checkFactors(spec, factors, metadata.architecture);
  return spec;
}

function readBlocks(metadata: MetadataReader, { tensors }: GgufHeader): BlockSpec[] {
  const count = metadata.number("block_count");
  refuseBlockCount(`${metadata.architecture}.block_count`, count);
  const heads = metadata.perBlock("attention.head_count", count);
  const kvHeads = metadata.perBlock("attention.head_count_kv", count, heads);
  const widths = metadata.perBlock("feed_forward_length", count);
  return Array.from({ length: count }, (_, i) => ({
    attention: attentionOf(heads[i], kvHeads[i], tensors.has(`blk.${i}.attn_q.bias`)),
    ffn: ffnOf(widths[i], tensors.has(`blk.${i}.ffn_up.bias`)),
  }));
}

/** deci says by zeros what a block lacks; query heads without key heads are a linear layer. */
function attentionOf(heads: number, kvHeads: number, bias: boolean): AttentionSpec | null {
  if (heads === 0) return null;
  if (kvHeads === 0) return { kind: "linear" };
  return { kind: "gqa", heads, kvHeads, ...(bias ? { bias } : {}) };
}

function ffnOf(hidden: number, bias: boolean): FfnSpec | null {
  if (hidden === 0) return null;
  return { kind: "gated", hidden, activation: "silu", ...(bias ? { bias } : {}) };
}

function readRope(
  metadata: MetadataReader,
  headDim: number,
  factors: Float32Array | null,
): RopeSpec {
  const rotated = metadata.number("rope.dimension_count", headDim);
  if (rotated !== headDim) {
    const what = `${rotated} of ${headDim} head values rotate`;
    throw ggufError("Unsupported", what, "Use a model that rotates whole heads.");
  }
  metadata.refuseScaling();
  return {
    theta: metadata.number("rope.freq_base", 10_000),
    fraction: 1,
    scaling: factors === null ? null : readScaling(metadata, headDim, factors),
  };
}

function readScaling(
  metadata: MetadataReader,
  headDim: number,
  factors: Float32Array,
): RopeScaling {
  if (factors.length !== headDim / 2) {
    throw ggufError(
      "Invalid",
      `rope_freqs.weight has ${factors.length} numbers`,
      "Check the file.",
    );
  }
  return {
    kind: "llama3",
    factor: metadata.own("rope.factor", decimalOf(Math.max(...factors))),
    lowFrequency: metadata.own("rope.low_frequency", LLAMA3.lowFrequency),
    highFrequency: metadata.own("rope.high_frequency", LLAMA3.highFrequency),
    originalContext: metadata.own("rope.original_context", LLAMA3.originalContext),
  };
}

/** The factors are all that llama.cpp uses, so a spec that gives others would be another model. */
function checkFactors(spec: DecoderSpec, factors: Float32Array, architecture: string): void {
  const expected = ropeFactors(spec);
  if (expected!.every((value, i) => Math.abs(factors[i] - value) <= 1e-3 * value)) return;
  throw ggufError(
    "Unsupported",
    `rope_freqs.weight of this ${architecture} model does not follow Llama 3's rule`,
    "Convert it from the Hugging Face checkpoint instead.",
  );
}

/**
 * What llama.cpp divides each rotary frequency by, [headDim / 2]; null without scaling.
 * With wavelength λ = 2π/f: 1 when λ < L/high, `factor` when λ > L/low, between them
 * 1 / ((1 − s) / factor + s) with s = (L/λ − low) / (high − low).
 * Source: Llama 3.1 `apply_scaling`; `generate_extra_tensors` in llama.cpp's converter.
 */
export function ropeFactors({ rope, headDim }: DecoderSpec): Float32Array<ArrayBuffer> | null {
  if (rope.scaling === null) return null;
  const { factor, lowFrequency, highFrequency, originalContext } = rope.scaling;
  return Float32Array.from({ length: headDim / 2 }, (_, k) => {
    const wavelength = 2 * Math.PI * rope.theta ** (2 * k / headDim);
    if (wavelength < originalContext / highFrequency) return 1;
    if (wavelength > originalContext / lowFrequency) return factor;
    const smooth = (originalContext / wavelength - lowFrequency) / (highFrequency - lowFrequency);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

/**
 * The metadata of a spec: architecture `llama` when all blocks are alike, otherwise `deci`.
 * Throws FormatError for a spec that neither can express.
 */
export function ggufMetadata(spec: DecoderSpec): Map<string, GgufValue> {
  const family = architectureOf(spec);
  const linearFfn = spec.blocks.some(({ ffn }) => ffn?.kind === "linear");
  if ((family !== "LlamaForCausalLM" && family !== "DeciLMForCausalLM") || linearFfn) {
    const what = linearFfn ? "linear feed-forward parts" : `a ${family} model`;
    throw ggufError("Unsupported", `GGUF's llama and deci cannot hold ${what}`, "Use safetensors.");
  }
  const uniform = family === "LlamaForCausalLM";
  const architecture = uniform ? "llama" : "deci";
  const fields: [string, GgufValue][] = [
    ["block_count", count(spec.blocks.length)],
    ["context_length", count(spec.context)],
    ["embedding_length", count(spec.dim)],
    ...blockFields(spec, uniform),
    ["attention.layer_norm_rms_epsilon", real(spec.norm.eps)],
    ["attention.key_length", count(spec.headDim)],
    ["attention.value_length", count(spec.headDim)],
    ["vocab_size", count(spec.vocab)],
    ["rope.dimension_count", count(spec.headDim)],
    ["rope.freq_base", real(spec.rope.theta)],
  ];
  return new Map([
    ["general.architecture", { type: "string", value: architecture }],
    ...fields.map(([key, value]) => [`${architecture}.${key}`, value] as const),
    ...scalingFields(spec),
  ]);
}

/** What deci lists for each block, and llama says once. */
function blockFields({ blocks, dim, headDim }: DecoderSpec, once: boolean): [string, GgufValue][] {
  const attentions = blocks.map(({ attention }) => attention);
  const queryHeads = attentions.find((a) => a?.kind === "gqa")?.heads ?? dim / headDim;
  const heads = attentions.map((a) => a === null ? 0 : queryHeads);
  const kvHeads = attentions.map((a) => a?.kind === "gqa" ? a.kvHeads : 0);
  const widths = blocks.map(({ ffn }) => ffn?.kind === "gated" ? ffn.hidden : 0);
  const field = (value: readonly number[]): GgufValue =>
    once ? count(value[0]) : { type: "array", of: "int32", value };
  return [
    ["feed_forward_length", field(widths)],
    ["attention.head_count", field(heads)],
    ["attention.head_count_kv", field(kvHeads)],
  ];
}

function count(value: number): GgufValue {
  return { type: "uint32", value };
}

function real(value: number): GgufValue {
  return { type: "float32", value };
}

/** llama.cpp reads the factors from rope_freqs.weight; these let the spec be read back. */
function scalingFields({ rope: { scaling } }: DecoderSpec): [string, GgufValue][] {
  if (scaling === null) return [];
  const fields: [string, number][] = [
    ["rope.factor", scaling.factor],
    ["rope.low_frequency", scaling.lowFrequency],
    ["rope.high_frequency", scaling.highFrequency],
    ["rope.original_context", scaling.originalContext],
  ];
  return fields.map(([key, value]) => [OWN_PREFIX + key, real(value)]);
}

/** Reads the metadata of one architecture, named without its prefix. */
class MetadataReader {
  readonly architecture: string;
  readonly #metadata: ReadonlyMap<string, GgufValue>;

  constructor(metadata: ReadonlyMap<string, GgufValue>) {
    const architecture = metadata.get("general.architecture")?.value;
    if (architecture !== "llama" && architecture !== "deci") {
      throw ggufError(
        "Unsupported",
        `the architecture is ${JSON.stringify(architecture ?? null)}`,
        'Supported are "llama" and "deci".',
      );
    }
    this.architecture = architecture;
    this.#metadata = metadata;
    if (Number(this.#get("expert_count")?.value ?? 0) > 0) {
      throw ggufError("Unsupported", "the model is a mixture of experts", "Use a dense model.");
    }
  }

  number(key: string, absent?: number): number {
    const found = this.#get(key);
    if (found === undefined && absent !== undefined) return absent;
    return this.#number(key, found?.type, found?.value);
  }

  /** A number that only this package writes. */
  own(key: string, absent: number): number {
    const found = this.#metadata.get(OWN_PREFIX + key);
    return found === undefined ? absent : this.#number(key, found.type, found.value);
  }

  /** One number for every block, or a list of them. */
  perBlock(key: string, count: number, absent?: readonly number[]): readonly number[] {
    const found = this.#get(key);
    if (found === undefined && absent !== undefined) return absent;
    if (found?.type !== "array") return new Array<number>(count).fill(this.number(key));
    if (found.value.length < count) {
      throw this.#wrong(key, `${found.value.length} numbers for ${count} blocks`);
    }
    return found.value.slice(0, count).map((value) => this.#number(key, found.of, value));
  }

  refuseScaling(): void {
    const type = this.#get("rope.scaling.type")?.value ?? "none";
    const factor = this.number("rope.scaling.factor", 0);
    // Without a type llama.cpp takes the factor as linear scaling; 0 and 1 scale nothing.
    if (type !== "none" && !(type === "linear" && factor <= 1) || factor > 1) {
      throw this.#wrong("rope.scaling.type", `${type} with factor ${factor}`);
    }
  }

  #get(key: string): GgufValue | undefined {
    return this.#metadata.get(`${this.architecture}.${key}`);
  }

  #number(key: string, type: string | undefined, value: unknown): number {
    if (typeof value === "bigint") return Number(value);
    if (typeof value !== "number") {
      throw this.#wrong(key, value === undefined ? "absent" : `${value}`);
    }
    return type === "float32" ? decimalOf(value) : value;
  }

  #wrong(key: string, given: string): Error {
    return ggufError(
      "Unsupported",
      `${this.architecture}.${key} is ${given}`,
      "Convert the model again with a current llama.cpp.",
    );
  }
}

/** The shortest decimal that an f32 stands for: 1e-5, not 0.000009999999747378752. */
function decimalOf(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const decimal = Number(value.toPrecision(digits));
    if (Math.fround(decimal) === value) return decimal;
  }
  return value;
}
