import {
  blockKey,
  type BlockSpec,
  type DecoderSpec,
  refuseBlockCount,
  type RopeSpec,
  SpecError,
  validateSpec,
} from "../spec.ts";
import { deciBlock, deciBlocks } from "./deci_blocks.ts";
import { ConfigReader, type HuggingFaceConfig, isObject } from "./config_reader.ts";

/** The architectures that a `config.json` can name here. */
export type Architecture =
  | "LlamaForCausalLM"
  | "NemotronForCausalLM"
  | "DeciLMForCausalLM"
  | "DenotronForCausalLM";

const MODEL_TYPES: Record<Architecture, string> = {
  LlamaForCausalLM: "llama",
  NemotronForCausalLM: "nemotron",
  DeciLMForCausalLM: "nemotron-nas",
  DenotronForCausalLM: "denotron",
};
const ARCHITECTURES = Object.keys(MODEL_TYPES) as Architecture[];

/** Keys that say the architecture; writing a config replaces all of them. */
const ARCHITECTURE_KEYS = [
  ...["architectures", "model_type", "vocab_size", "hidden_size", "num_hidden_layers"],
  ...["num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings"],
  ...["intermediate_size", "hidden_act", "attention_bias", "mlp_bias", "tie_word_embeddings"],
  ...["rms_norm_eps", "norm_eps", "rope_theta", "rope_scaling", "rope_parameters"],
  ...["partial_rotary_factor", "rope_percent", "rope_percentage", "block_configs", "spec"],
];

/**
 * Reads a Hugging Face `config.json` (already parsed) of Llama 3.x, Nemotron-4 / Minitron or
 * DeciLM (Llama-Nemotron), or one that this package wrote.
 *
 * Both spellings of rotary settings are read: `rope_theta` with `rope_scaling`, and the newer
 * `rope_parameters`. Throws {@linkcode SpecError} naming the key when the architecture or a value
 * isn't supported.
 *
 * @example
 * ```ts
 * import { fromHuggingFace } from "@denotron/denotron/nn";
 * import assert from "node:assert/strict";
 *
 * const spec = fromHuggingFace({
 *   architectures: ["LlamaForCausalLM"], vocab_size: 512, hidden_size: 64, num_hidden_layers: 5,
 *   num_attention_heads: 8, num_key_value_heads: 4, intermediate_size: 172,
 *   max_position_embeddings: 512, rms_norm_eps: 1e-5, tie_word_embeddings: true,
 * });
 * assert.deepEqual(spec.blocks[4].ffn, { kind: "gated", hidden: 172, activation: "silu" });
 * ```
 */
export function fromHuggingFace(config: HuggingFaceConfig): DecoderSpec {
  const reader = new ConfigReader(config);
  const architecture = architectureNamed(config);
  reader.refuse("quantization_config", "Use the checkpoint that was not quantized.");
  if (architecture === "DenotronForCausalLM") return specFromJson(config.spec);

  const heads = reader.natural("num_attention_heads");
  const dim = reader.natural("hidden_size");
  const nemotron = architecture === "NemotronForCausalLM";
  const spec: DecoderSpec = {
    vocab: reader.natural("vocab_size"),
    dim,
    context: reader.natural("max_position_embeddings"),
    headDim: reader.natural("head_dim", Math.floor(dim / heads)),
    norm: nemotron
      ? { kind: "layer_norm_1p", eps: reader.number("norm_eps", 1e-5) }
      : { kind: "rms_norm", eps: reader.number("rms_norm_eps", 1e-6) },
    rope: readRope(reader, nemotron),
    tied: reader.flag("tie_word_embeddings"),
    blocks: architecture === "DeciLMForCausalLM"
      ? deciBlocks(reader, dim, heads)
      : uniformBlocks(reader, heads, nemotron),
  };
  validateSpec(spec);
  return spec;
}

function architectureNamed(config: HuggingFaceConfig): Architecture {
  const named = Array.isArray(config.architectures) ? config.architectures[0] : undefined;
  const found = ARCHITECTURES.find((name) =>
    named === undefined ? MODEL_TYPES[name] === config.model_type : name === named
  );
  if (found !== undefined) return found;
  throw new SpecError(
    "architectures",
    `config.json: unknown architecture, ${JSON.stringify(named ?? config.model_type)}. ` +
      `Supported are ${ARCHITECTURES.join(", ")}.`,
  );
}

function uniformBlocks(reader: ConfigReader, heads: number, nemotron: boolean): BlockSpec[] {
  reader.only("hidden_act", nemotron ? "relu2" : "silu");
  const hidden = reader.natural("intermediate_size");
  const attentionBias = reader.flag("attention_bias") ? { bias: true } : {};
  const mlpBias = reader.flag("mlp_bias") ? { bias: true } : {};
  const kvHeads = reader.natural("num_key_value_heads", heads);
  const block: BlockSpec = {
    attention: { kind: "gqa", heads, kvHeads, ...attentionBias },
    ffn: nemotron
      ? { kind: "relu2", hidden, ...mlpBias }
      : { kind: "gated", hidden, activation: "silu", ...mlpBias },
  };
  const length = reader.natural("num_hidden_layers");
  refuseBlockCount("num_hidden_layers", length);
  return Array.from({ length }, () => block);
}

function readRope(reader: ConfigReader, partial: boolean): RopeSpec {
  // The newer spelling keeps everything in rope_parameters, the older one beside rope_scaling.
  const key = reader.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  const nested = reader.object(key);
  const settings = nested ?? new ConfigReader({}, key);
  const fraction = settings.number(
    "partial_rotary_factor",
    reader.number(
      "rope_percent",
      reader.number("rope_percentage", reader.number("partial_rotary_factor", partial ? 0.5 : 1)),
    ),
  );
  if (!partial && fraction !== 1) {
    throw new SpecError(
      "partial_rotary_factor",
      `config.json: this architecture rotates whole heads, partial_rotary_factor is ${fraction}. ` +
        `Only NemotronForCausalLM has partial rotation.`,
    );
  }
  const theta = settings.number("rope_theta", reader.number("rope_theta", 10_000));
  const type = settings.value("rope_type") ?? settings.value("type") ?? "default";
  if (type === "default") return { theta, fraction, scaling: null };
  if (type !== "llama3") {
    throw new SpecError(
      key,
      `config.json: unsupported rope_type in ${key}, ${JSON.stringify(type)}. ` +
        `Supported are "default" and "llama3".`,
    );
  }
  const scaling = {
    kind: "llama3",
    factor: settings.number("factor"),
    lowFrequency: settings.number("low_freq_factor"),
    highFrequency: settings.number("high_freq_factor"),
    originalContext: settings.natural("original_max_position_embeddings"),
  } as const;
  return { theta, fraction, scaling };
}

/** Reads a spec that was JSON. Throws {@linkcode SpecError} when it isn't one. */
export function specFromJson(value: unknown): DecoderSpec {
  const isPart = (part: unknown) => part === null || isObject(part);
  const shaped = isObject(value) && isObject(value.norm) && isObject(value.rope) &&
    isPart(value.rope.scaling) && typeof value.tied === "boolean" && Array.isArray(value.blocks) &&
    value.blocks.every((b) => isObject(b) && isPart(b.attention) && isPart(b.ffn));
  if (!shaped) {
    throw new SpecError("spec", "config.json: spec is not a decoder spec. Save the model again.");
  }
  const spec = value as unknown as DecoderSpec;
  validateSpec(spec);
  return spec;
}

/**
 * The architecture whose format says a spec exactly: Llama or Nemotron when all blocks are
 * alike, DeciLM for blocks that differ, otherwise `DenotronForCausalLM`, which holds the spec as
 * it is and which only this package reads.
 */
export function architectureOf(spec: DecoderSpec): Architecture {
  return ARCHITECTURES.find((architecture) => obstacle(spec, architecture) === null)!;
}

/** Why a spec can't be said in an architecture's format; null when it can. */
function obstacle(spec: DecoderSpec, architecture: Architecture): string | null {
  if (architecture === "DenotronForCausalLM") return null;
  const { norm, rope, blocks } = spec;
  const nemotron = architecture === "NemotronForCausalLM";
  const normKind = nemotron ? "layer_norm_1p" : "rms_norm";
  const ffnKind = nemotron ? "relu2" : "gated";
  if (norm.kind !== normKind) return `its norm is ${norm.kind}, not ${normKind}`;
  if (!nemotron && rope.fraction !== 1) return `it rotates ${rope.fraction} of each head`;
  const attentions = blocks.flatMap(({ attention: a }) => a?.kind === "gqa" ? [a] : []);
  if (attentions.some((a) => a.window !== undefined)) return "it has windowed attention";
  if (architecture === "DeciLMForCausalLM") {
    if (blocks.some(({ ffn }) => ffn?.kind === "relu2")) return "it has a relu2 part";
    if (new Set(attentions.map((a) => a.heads)).size > 1) return "its query heads differ";
    const ffns = blocks.flatMap(({ ffn }) => ffn?.kind === "gated" ? [ffn] : []);
    const mixed = [attentions, ffns].some((parts) => new Set(parts.map((p) => !!p.bias)).size > 1);
    return mixed ? "only some of its layers have a bias" : null;
  }
  if (blocks.some((block) => blockKey(block) !== blockKey(blocks[0]))) return "its blocks differ";
  const { attention, ffn } = blocks[0];
  return attention?.kind === "gqa" && ffn?.kind === ffnKind
    ? null
    : `its blocks are not gqa and ${ffnKind}`;
}

/** How {@linkcode toHuggingFace} chooses what the spec leaves open. */
export interface ToHuggingFaceOptions {
  /** The config that the model came from: its other keys (token ids, dtype…) are kept. */
  readonly like?: HuggingFaceConfig;
  /** The format to use; by default the one {@linkcode architectureOf} finds. */
  readonly architecture?: Architecture;
}

/**
 * Writes a spec as a Hugging Face `config.json`, the reverse of {@linkcode fromHuggingFace}.
 * With the original config as `like`, the result of an unchanged spec equals it, apart from
 * defaults that are now spelled out.
 * Throws {@linkcode SpecError} when `architecture` can't express the spec.
 */
export function toHuggingFace(
  spec: DecoderSpec,
  options: ToHuggingFaceOptions = {},
): Record<string, unknown> {
  validateSpec(spec);
  const { like = {}, architecture = architectureLike(spec, like) } = options;
  const reason = obstacle(spec, architecture);
  if (reason !== null) {
    throw new SpecError(
      "architecture",
      `toHuggingFace: ${architecture} cannot express this spec, ${reason}. ` +
        `Use ${architectureOf(spec)}.`,
    );
  }
  const said = architecture === "DenotronForCausalLM"
    ? { vocab_size: spec.vocab, hidden_size: spec.dim, spec }
    : saidFields(spec, architecture, like);
  const fields: Record<string, unknown> = {
    architectures: [architecture],
    model_type: MODEL_TYPES[architecture],
    num_hidden_layers: spec.blocks.length,
    max_position_embeddings: spec.context,
    tie_word_embeddings: spec.tied,
    ...said,
  };
  // Keys keep the place that they have in the original, so that files can be compared.
  const config: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(like)) {
    if (key in fields) config[key] = fields[key];
    else if (!ARCHITECTURE_KEYS.includes(key)) config[key] = value;
  }
  // auto_map names code files of the original's architecture.
  if (!architectureMatches(like, architecture)) delete config.auto_map;
  return { ...config, ...fields };
}

/** A spec that the original's architecture can express stays in it. */
function architectureLike(spec: DecoderSpec, like: HuggingFaceConfig): Architecture {
  const kept = ARCHITECTURES.find((name) => architectureMatches(like, name));
  return kept !== undefined && obstacle(spec, kept) === null ? kept : architectureOf(spec);
}

function architectureMatches(config: HuggingFaceConfig, architecture: Architecture): boolean {
  return Array.isArray(config.architectures) && config.architectures[0] === architecture;
}

function saidFields(
  spec: DecoderSpec,
  architecture: Architecture,
  like: HuggingFaceConfig,
): Record<string, unknown> {
  const { vocab, dim, headDim, norm, blocks } = spec;
  const attentions = blocks.flatMap(({ attention: a }) => a?.kind === "gqa" ? [a] : []);
  const ffns = blocks.flatMap(({ ffn }) => ffn !== null && ffn.kind !== "linear" ? [ffn] : []);
  const heads = attentions[0]?.heads ?? Math.floor(dim / headDim);
  const nemotron = architecture === "NemotronForCausalLM";
  const deci = architecture === "DeciLMForCausalLM";
  const original = Array.isArray(like.block_configs) ? like.block_configs : [];
  return {
    vocab_size: vocab,
    hidden_size: dim,
    num_attention_heads: heads,
    num_key_value_heads: deci ? null : attentions[0].kvHeads,
    intermediate_size: deci ? null : ffns[0].hidden,
    hidden_act: nemotron ? "relu2" : "silu",
    attention_bias: attentions[0]?.bias === true,
    mlp_bias: ffns[0]?.bias === true,
    ...("head_dim" in like || headDim * heads !== dim ? { head_dim: headDim } : {}),
    [nemotron ? "norm_eps" : "rms_norm_eps"]: norm.eps,
    ...ropeFields(spec, nemotron, like),
    ...(deci
      ? { block_configs: blocks.map((block, i) => deciBlock(block, dim, heads, original[i])) }
      : {}),
  };
}

function ropeFields(
  { rope }: DecoderSpec,
  partial: boolean,
  like: HuggingFaceConfig,
): Record<string, unknown> {
  const scaling = rope.scaling === null ? null : {
    factor: rope.scaling.factor,
    high_freq_factor: rope.scaling.highFrequency,
    low_freq_factor: rope.scaling.lowFrequency,
    original_max_position_embeddings: rope.scaling.originalContext,
    rope_type: "llama3",
  };
  const fraction = partial ? { partial_rotary_factor: rope.fraction } : {};
  if (isObject(like.rope_parameters)) {
    const settings = scaling ?? { rope_type: "default" };
    return { rope_parameters: { rope_theta: rope.theta, ...settings, ...fraction } };
  }
  return { rope_theta: rope.theta, rope_scaling: scaling, ...fraction };
}
