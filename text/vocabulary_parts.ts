/**
 * A tokenizer as plain lists, which other formats are written from.
 *
 * @module
 */

import type { AddedToken } from "./byte_level.ts";
import { type JsonObject, stages } from "./hugging_face_config.ts";
import { gpt2Pattern, llama3Pattern, qwen2Pattern } from "./pattern.ts";
import { PieceType } from "./sentencepiece.ts";
import type { VocabularySource } from "./vocabulary.ts";

/** A vocabulary without the ids that have a role. */
export type VocabularyParts = Omit<
  VocabularySource,
  "bos" | "eos" | "pad" | "unk" | "addBos" | "addEos" | "chatTemplate"
>;

/**
 * The parts of a byte-level BPE `tokenizer.json`; undefined where they do not say all: other word patterns, other
 * normalisation than NFC, added tokens that match more than their spelling, ids without a token.
 */
export function partsOfByteLevel(
  json: JsonObject,
  tokens: readonly (string | undefined)[],
  added: readonly AddedToken[],
): VocabularyParts | undefined {
  const pattern = patternName(json.pre_tokenizer);
  const model = json.model as JsonObject;
  const wide = (json.added_tokens as JsonObject[] | undefined ?? [])
    .some(({ lstrip, rstrip, single_word }) => lstrip || rstrip || single_word);
  const normalizes = stages(json.normalizer).some(({ type }) => type !== "NFC");
  const whole = Array.from(tokens).every((token) => token !== undefined);
  // Llama 3 takes words that are tokens as they are, and only its pattern means that elsewhere.
  const asExpected = (model.ignore_merges ?? false) === (pattern === "llama-bpe");
  if (pattern === undefined || wide || normalizes || !whole || !asExpected) return undefined;
  const types = new Array<number>(tokens.length).fill(PieceType.normal);
  for (const { id, special } of added) {
    types[id] = special ? PieceType.control : PieceType.userDefined;
  }
  const merges = (model.merges as (string | readonly string[])[])
    .map((merge) => typeof merge === "string" ? merge : merge.join(" "));
  return { model: "gpt2", tokens: tokens as readonly string[], types, merges, pattern };
}

const patternNames: ReadonlyMap<unknown, string> = new Map([
  [gpt2Pattern, "gpt-2"],
  [llama3Pattern, "llama-bpe"],
  [qwen2Pattern, "qwen2"],
]);

/** What GGUF calls the word pattern of a pre-tokenizer. */
function patternName(preTokenizer: unknown): string | undefined {
  const all = stages(preTokenizer);
  if (all.some((stage) => stage.add_prefix_space === true)) return undefined;
  const [first, second] = all;
  const byPattern = first?.type === "Split" && first.behavior === "Isolated" &&
    second?.type === "ByteLevel" && second.use_regex === false && all.length === 2;
  if (byPattern) return patternNames.get((first.pattern as JsonObject | undefined)?.Regex);
  const alone = first?.type === "ByteLevel" && first.use_regex !== false && all.length === 1;
  return alone ? "gpt-2" : undefined;
}
