/**
 * Hugging Face tokenizers: `tokenizer.json` through `@huggingface/tokenizers`, with the special ids
 * of `tokenizer_config.json` and `generation_config.json` next to it.
 *
 * @module
 */

import { Tokenizer as Library } from "@huggingface/tokenizers";
import { type AddedToken, byteLevelEncoder } from "./byte_level.ts";
import { byteCharacters } from "./byte_map.ts";
import { TokenizerError, TokenizerFormatError } from "./errors.ts";
import {
  decodingOf,
  type JsonObject,
  specialIdsOf,
  templateOf,
  withUnicodeWords,
} from "./hugging_face_config.ts";
import type { LoadedTokenizer, SpecialIds, TokenModel } from "./model.ts";
import { encodeUtf8 } from "./utf8.ts";
import { partsOfByteLevel } from "./vocabulary_parts.ts";

/** The files of a Hugging Face tokenizer, parsed. */
export interface HuggingFaceFiles {
  /** `tokenizer.json`. */
  readonly tokenizer: JsonObject;
  /** `tokenizer_config.json`. */
  readonly config?: JsonObject;
  /** `generation_config.json`: its `eos_token_id` adds ends of turn. */
  readonly generation?: JsonObject;
  /** `chat_template.jinja`, which comes before the template in `config`. */
  readonly chatTemplate?: string;
}

/**
 * Makes a tokenizer of the contents of a Hugging Face folder.
 *
 * Throws TokenizerFormatError where a part is missing or the decoder is of a kind that has no exact bytes.
 */
export function readHuggingFace(files: HuggingFaceFiles): LoadedTokenizer {
  const config = files.config ?? {};
  const model = libraryModel(files.tokenizer, config);
  const idOf = new Map(model.tokens.map((token, id) => [token, id]));
  const special = specialIdsOf((token) => idOf.get(token), config, files.generation ?? {});
  const chatTemplate = files.chatTemplate ?? templateOf(config.chat_template);
  return {
    model: withConfiguredEnds(model, special, config),
    special,
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
    files: new Map(),
  };
}

function libraryModel(json: JsonObject, config: JsonObject): TokenModel {
  const added = addedTokens(json);
  const library = buildLibrary(json, config, added);
  const decoding = decodingOf(json);
  const tokens: (string | undefined)[] = [];
  for (const [token, id] of library.get_vocab()) tokens[id] = token;
  const contents = new Map(added.map((token) => [token.id, token.content]));
  const bytes = (id: number): Uint8Array => {
    const content = contents.get(id);
    return content !== undefined ? encodeUtf8(content) : decoding.bytes(tokens[id]!);
  };
  const mayDrop = decoding.byteLevel &&
    byteCharacters.some((character) => library.token_to_id(character) === undefined);
  const encoder = (library: Library, tokens: readonly AddedToken[]): (text: string) => number[] =>
    (decoding.byteLevel
      ? byteLevelEncoder(json, library, tokens, decoding.normalize)
      : undefined) ?? ((text) => library.encode(text, { add_special_tokens: false }).ids);
  const encode = encoder(library, added);
  const vocabulary = decoding.byteLevel ? partsOfByteLevel(json, tokens, added) : undefined;
  // Made on first use: most programs never encode text that must not form special tokens.
  let encodePlain: ((text: string) => number[]) | undefined;
  return {
    tokens,
    special: new Set(added.filter((token) => token.special).map((token) => token.id)),
    leadingSpaces: decoding.leadingSpaces,
    ...endsOf(library),
    encode(text, plain) {
      if (plain && encodePlain === undefined) {
        const ordinary = added.filter((token) => !token.special);
        encodePlain = encoder(buildLibrary(json, config, ordinary), ordinary);
      }
      const ids = plain ? encodePlain!(text) : encode(text);
      if (ids.includes(undefined as unknown as number)) throw unspellable(text);
      if (mayDrop) assertWhole(text, ids, bytes);
      return ids;
    },
    bytes,
    normalize: decoding.normalize,
    ...(vocabulary === undefined ? {} : { vocabulary }),
  };
}

function addedTokens(json: JsonObject): AddedToken[] {
  const added = json.added_tokens ?? [];
  const valid = Array.isArray(added) &&
    added.every((token) =>
      Number.isSafeInteger(token?.id) && token.id >= 0 && typeof token.content === "string"
    );
  if (!valid) {
    throw new TokenizerFormatError(
      "tokenizer.json: added_tokens is not a list of {id, content}. Check that the file is whole.",
    );
  }
  return added as AddedToken[];
}

function buildLibrary(
  source: JsonObject,
  config: JsonObject,
  added: readonly AddedToken[],
): Library {
  const json = { ...source, pre_tokenizer: withUnicodeWords(source.pre_tokenizer) };
  // The library asks for keys that some writers leave out when unused.
  const absent = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
  try {
    return new Library({ ...absent, ...json, added_tokens: added }, config);
  } catch (error) {
    throw new TokenizerFormatError(
      `tokenizer.json: it does not describe a tokenizer, ${(error as Error).message}. ` +
        "Check that the file is a whole Hugging Face fast tokenizer.",
    );
  }
}

/** What the post-processor puts around a text, found by encoding a probe with and without it. */
function endsOf(library: Library): { prefix: readonly number[]; suffix: readonly number[] } {
  const inner = library.encode("a", { add_special_tokens: false }).ids;
  const whole = library.encode("a", { add_special_tokens: true }).ids;
  const extra = whole.length - inner.length;
  for (let before = 0; before <= extra; before++) {
    if (inner.every((id, i) => whole[before + i] === id)) {
      return { prefix: whole.slice(0, before), suffix: whole.slice(before + inner.length) };
    }
  }
  return { prefix: [], suffix: [] };
}

/** `add_bos_token` and `add_eos_token` of `tokenizer_config.json` decide where they are given. */
export function withConfiguredEnds(
  model: TokenModel,
  special: SpecialIds,
  config: JsonObject,
): TokenModel {
  const eosId = special.eos[0];
  let { prefix, suffix } = model;
  if (config.add_bos_token === false) prefix = prefix.filter((id) => id !== special.bos);
  if (config.add_bos_token === true && special.bos !== undefined && !prefix.includes(special.bos)) {
    prefix = [special.bos, ...prefix];
  }
  if (config.add_eos_token === true && eosId !== undefined && !suffix.includes(eosId)) {
    suffix = [...suffix, eosId];
  }
  return { ...model, prefix, suffix };
}

/** A byte-level vocabulary without all 256 bytes would lose text in silence. */
function assertWhole(text: string, ids: number[], bytes: (id: number) => Uint8Array): void {
  const length = ids.reduce((sum, id) => sum + bytes(id).length, 0);
  if (length < encodeUtf8(text).length) throw unspellable(text);
}

function unspellable(text: string): TokenizerError {
  const shown = JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
  return new TokenizerError(
    `encode: the vocabulary cannot spell all of ${shown} and has no unknown token. ` +
      "Use a tokenizer with all 256 bytes, or add an unknown token.",
  );
}
