/**
 * Writing `tokenizer.json` for byte-level BPE, in the form that Hugging Face reads.
 *
 * @module
 */

import type { JsonObject } from "./hugging_face_config.ts";

/** The parts of a byte-level BPE tokenizer. */
export interface ByteLevelParts {
  /** Token to id, spelled in the byte alphabet. */
  readonly vocabulary: ReadonlyMap<string, number>;
  /** Merges `"left right"`, best first. */
  readonly merges: readonly string[];
  /** Tokens matched in the text as they are. */
  readonly added: readonly {
    readonly id: number;
    readonly content: string;
    readonly special: boolean;
  }[];
  /** Cuts text into words. */
  readonly pattern: string;
  /** Take a word that is a token as it is, even where the merges do not lead to it (Llama 3). */
  readonly ignoreMerges?: boolean;
  /** The added token to put before a text that stands alone. */
  readonly bos?: string;
}

/** The contents of `tokenizer.json`. */
export function byteLevelJson(parts: ByteLevelParts): JsonObject {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: parts.added.map(({ id, content, special }) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: parts.pattern }, behavior: "Isolated", invert: false },
        { ...byteLevel, use_regex: false },
      ],
    },
    post_processor: parts.bos === undefined
      ? null
      : beginningWith(parts.bos, parts.vocabulary.get(parts.bos)!),
    decoder: { ...byteLevel, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: parts.ignoreMerges ?? false,
      vocab: Object.fromEntries(parts.vocabulary),
      merges: parts.merges,
    },
  };
}

/** Puts a token before a text, and before the first of a pair. */
function beginningWith(token: string, id: number): JsonObject {
  const special = { SpecialToken: { id: token, type_id: 0 } };
  const text = { Sequence: { id: "A", type_id: 0 } };
  return {
    type: "TemplateProcessing",
    single: [special, text],
    pair: [special, text, { Sequence: { id: "B", type_id: 1 } }],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}
