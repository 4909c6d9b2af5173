import { type AttentionSpec, blockKey, type BlockSpec, type FfnSpec, SpecError } from "../spec.ts";
import { ConfigReader, isObject } from "./config_reader.ts";

/** Feed-forward widths that DeciLM's `ffn_mult` can say are multiples of this. */
const WIDTH_STEP = 256;

/** Features of DeciLM blocks that no released model uses, so that nothing could check them. */
const UNSUPPORTED = [
  "num_sink_tokens",
  "sparsify",
  "unshifted_sink",
  "use_prefill_window_in_sink_attention",
  "window_length",
  "moe",
  "mamba",
  "llama4",
  "parallel_blocks",
];

/**
 * The width that DeciLM means by `ffn_mult`: ⌊2 · mult · dim / 3⌋, rounded up to a multiple of 256.
 * Source: `_ffn_mult_to_intermediate_size` in modeling_decilm, also in vLLM and llama.cpp.
 */
export function deciWidth(ffnMult: number, dim: number): number {
  return Math.ceil(Math.trunc(2 * ffnMult * dim / 3) / WIDTH_STEP) * WIDTH_STEP;
}

/** Reads `block_configs` of a DeciLM config. Throws {@linkcode SpecError}. */
export function deciBlocks(reader: ConfigReader, dim: number, heads: number): BlockSpec[] {
  reader.only("hidden_act", "silu");
  const attentionBias = reader.flag("attention_bias");
  const mlpBias = reader.flag("mlp_bias");
  const blocks = reader.objects("block_configs");
  const count = reader.natural("num_hidden_layers", blocks.length);
  if (count !== blocks.length) {
    throw new SpecError(
      "num_hidden_layers",
      `config.json: num_hidden_layers and block_configs disagree, (${count} vs ` +
        `${blocks.length}). One of them was cut.`,
    );
  }
  return blocks.map((block) => ({
    attention: readAttention(part(block, "attention"), heads, attentionBias),
    ffn: readFfn(part(block, "ffn"), dim, mlpBias),
  }));
}

function part(block: ConfigReader, key: string): ConfigReader {
  block.refuse("parallel_blocks", "Use a model without parallel blocks.");
  const reader = block.object(key) ?? new ConfigReader({}, key);
  for (const feature of UNSUPPORTED) reader.refuse(feature, "Use a model without it.");
  return reader;
}

function readAttention(reader: ConfigReader, heads: number, bias: boolean): AttentionSpec | null {
  if (reader.flag("no_op")) return null;
  if (reader.flag("replace_with_linear")) return { kind: "linear" };
  const kvHeads = reader.has("num_key_value_heads")
    ? reader.natural("num_key_value_heads")
    : heads / reader.natural("n_heads_in_group");
  return { kind: "gqa", heads, kvHeads, ...(bias ? { bias } : {}) };
}

function readFfn(reader: ConfigReader, dim: number, bias: boolean): FfnSpec | null {
  if (reader.flag("no_op")) return null;
  if (reader.flag("replace_with_linear")) return { kind: "linear" };
  const hidden = reader.has("intermediate_size")
    ? reader.natural("intermediate_size")
    : deciWidth(reader.number("ffn_mult"), dim);
  return { kind: "gated", hidden, activation: "silu", ...(bias ? { bias } : {}) };
}

/**
 * Writes one entry of `block_configs`. Many multipliers round to one width, so `original` (the
 * entry that the block came from, if any) is kept as long as it still says the same.
 *
 * A width that isn't a multiple of 256 has no `ffn_mult`; it's written as `intermediate_size`,
 * as newer NVIDIA tools do. Loaders that know `ffn_mult` only refuse such a block.
 */
export function deciBlock(
  block: BlockSpec,
  dim: number,
  heads: number,
  original: unknown,
): Record<string, unknown> {
  if (isObject(original) && saysTheSame(original, block, dim, heads)) return original;
  const { attention, ffn } = block;
  const group = attention?.kind === "gqa" ? heads / attention.kvHeads : null;
  return {
    attention: {
      n_heads_in_group: group,
      no_op: attention === null,
      num_sink_tokens: null,
      replace_with_linear: attention?.kind === "linear",
      sparsify: null,
      unshifted_sink: false,
      use_prefill_window_in_sink_attention: false,
      window_length: null,
    },
    ffn: {
      ...(ffn?.kind === "gated" ? widthFields(ffn.hidden, dim) : { ffn_mult: null }),
      no_op: ffn === null,
      replace_with_linear: ffn?.kind === "linear",
      sparsify: null,
    },
  };
}

function widthFields(hidden: number, dim: number): Record<string, number | null> {
  if (hidden % WIDTH_STEP !== 0) return { ffn_mult: null, intermediate_size: hidden };
  return { ffn_mult: 3 * hidden / (2 * dim) };
}

function saysTheSame(
  original: Record<string, unknown>,
  block: BlockSpec,
  dim: number,
  heads: number,
): boolean {
  const bias = (spec: AttentionSpec | FfnSpec | null) =>
    spec !== null && spec.kind !== "linear" && spec.bias === true;
  try {
    const reader = new ConfigReader(original);
    const attention = readAttention(part(reader, "attention"), heads, bias(block.attention));
    const ffn = readFfn(part(reader, "ffn"), dim, bias(block.ffn));
    return blockKey({ attention, ffn }) === blockKey(block);
  } catch (error) {
    if (error instanceof SpecError) return false;
    throw error;
  }
}
