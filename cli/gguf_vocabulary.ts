/**
 * The tokenizer that a GGUF file carries in its metadata.
 * Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
 *
 * @module
 */
import type { GgufScalarType, GgufValue } from "../nn/mod.ts";
import { TokenizerFormatError, type VocabularySource } from "../text/mod.ts";

type Metadata = ReadonlyMap<string, GgufValue>;

const prefix = "tokenizer.ggml.";
const templateKey = "tokenizer.chat_template";
/** Ids that end a generation, besides `eos`. */
const otherEnds = ["eot_token_id", "eom_token_id"];

/** The vocabulary in the metadata of a GGUF file; null when it has none. Throws TokenizerFormatError for another kind. */
export function vocabularyOfGguf(metadata: Metadata): VocabularySource | null {
  const get = (key: string): unknown => metadata.get(prefix + key)?.value;
  const model = get("model"), tokens = get("tokens");
  if (model === undefined || model === "none" || model === "no_vocab" || tokens === undefined) {
    return null;
  }
  if (model !== "gpt2" && model !== "llama" && model !== "t5") {
    throw new TokenizerFormatError(
      `gguf: its tokenizer is of the kind "${model}" (gpt2, llama and t5 are read). Give another with --tokenizer.`,
    );
  }
  const id = (key: string): number | undefined => {
    const value = get(key);
    return value === undefined ? undefined : Number(value);
  };
  const ends = ["eos_token_id", ...otherEnds].map(id).filter((end) => end !== undefined);
  const optional = {
    scores: get("scores"),
    types: get("token_type"),
    merges: get("merges"),
    pattern: get("pre"),
    bos: id("bos_token_id"),
    pad: id("padding_token_id"),
    unk: id("unknown_token_id"),
    addBos: get("add_bos_token"),
    addEos: get("add_eos_token"),
    addSpacePrefix: get("add_space_prefix"),
    removeExtraSpaces: get("remove_extra_whitespaces"),
    chatTemplate: metadata.get(templateKey)?.value,
  };
  const present = Object.entries(optional).filter(([, value]) => value !== undefined);
  return {
    model,
    tokens: tokens as readonly string[],
    eos: [...new Set(ends)],
    ...Object.fromEntries(present),
  };
}

/**
 * The metadata that {@linkcode vocabularyOfGguf} reads a vocabulary from, for a model with `size` ids: other readers take
 * the number of tokens for that of ids.
 */
export function ggufOfVocabulary(source: VocabularySource, size: number): Map<string, GgufValue> {
  const vocabulary = padded(source, size);
  const { model, tokens, scores, types, merges, pattern, eos = [] } = vocabulary;
  const list = (of: GgufScalarType, value: ArrayLike<number | string> | undefined) =>
    value === undefined ? undefined : { type: "array", of, value: Array.from(value) } as const;
  const one = (type: GgufScalarType, value: number | string | boolean | undefined) =>
    value === undefined ? undefined : { type, value } as const;
  const fields: Record<string, GgufValue | undefined> = {
    [`${prefix}model`]: one("string", model),
    [`${prefix}pre`]: one("string", pattern ?? (model === "gpt2" ? undefined : "default")),
    [`${prefix}tokens`]: list("string", tokens),
    [`${prefix}scores`]: list("float32", scores),
    [`${prefix}token_type`]: list("int32", types),
    [`${prefix}merges`]: list("string", merges),
    [`${prefix}bos_token_id`]: one("uint32", vocabulary.bos),
    [`${prefix}eos_token_id`]: one("uint32", eos[0]),
    [`${prefix}eot_token_id`]: one("uint32", eos[1]),
    [`${prefix}eom_token_id`]: one("uint32", eos[2]),
    [`${prefix}padding_token_id`]: one("uint32", vocabulary.pad),
    [`${prefix}unknown_token_id`]: one("uint32", vocabulary.unk),
    [`${prefix}add_bos_token`]: one("bool", vocabulary.addBos),
    [`${prefix}add_eos_token`]: one("bool", vocabulary.addEos),
    [`${prefix}add_space_prefix`]: one("bool", vocabulary.addSpacePrefix),
    [`${prefix}remove_extra_whitespaces`]: one("bool", vocabulary.removeExtraSpaces),
    [templateKey]: one("string", vocabulary.chatTemplate),
  };
  return new Map(
    Object.entries(fields).filter((field): field is [string, GgufValue] => field[1] !== undefined),
  );
}

/** Token types: ordinary, and of an id that no text has. */
const normalType = 1;
const unusedType = 5;

function padded(vocabulary: VocabularySource, size: number): VocabularySource {
  const { tokens, scores, types } = vocabulary;
  const missing = Math.max(0, size - tokens.length);
  const names = Array.from({ length: missing }, (_, i) => `[PAD${tokens.length + i}]`);
  const filled = (list: ArrayLike<number>, value: number): number[] =>
    Array.from({ length: tokens.length + missing }, (_, i) => list[i] ?? value);
  return {
    ...vocabulary,
    tokens: [...tokens, ...names],
    types: filled(types ?? tokens.map(() => normalType), unusedType),
    ...(scores === undefined ? {} : { scores: filled(scores, -1e9) }),
  };
}
