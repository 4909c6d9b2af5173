/**
 * A short cut for byte-level vocabularies of the usual form: words by one pattern, each word's ids from a
 * cache, and the library's model only for words not seen lately. The ids are the library's own.
 *
 * @module
 */

import type { Tokenizer as Library } from "@huggingface/tokenizers";
import { spellBytes } from "./byte_map.ts";
import { type JsonObject, stages } from "./hugging_face_config.ts";
import { gpt2Pattern, splitter } from "./pattern.ts";
import { SectionSplitter } from "./sections.ts";
import { encodeUtf8 } from "./utf8.ts";
import { WordCache } from "./word_cache.ts";

/** An entry of `added_tokens`. */
export interface AddedToken {
  /** Its id. */
  readonly id: number;
  /** The text that it is found by. */
  readonly content: string;
  /** Whether it carries no text of its own. */
  readonly special?: boolean;
  /** Whether it takes white space before it along. */
  readonly lstrip?: boolean;
  /** Whether it takes white space after it along. */
  readonly rstrip?: boolean;
  /** Whether it is looked for after normalisation. */
  readonly normalized?: boolean;
}

/** The encoder of a `tokenizer.json` of the usual form, or undefined where only the library will do. */
export function byteLevelEncoder(
  json: JsonObject,
  library: Library,
  added: readonly AddedToken[],
  normalize: (text: string) => string,
): ((text: string) => number[]) | undefined {
  const pattern = wordPattern(json.pre_tokenizer);
  const onlyUnicodeForms = stages(json.normalizer).every((stage) =>
    /^NFK?[CD]$/.test(`${stage.type}`)
  );
  const literal = added.every((token) =>
    !token.lstrip && !token.rstrip && !(token.normalized && stages(json.normalizer).length > 0)
  );
  const { model } = library;
  if (pattern === undefined || !onlyUnicodeForms || !literal || model === null) return undefined;
  const words = splitter(pattern);
  const sections = new SectionSplitter(added.map(({ content, id }) => [content, id]));
  const cache = new WordCache();
  const encodeWord = (word: string): number[] =>
    model.encode([spellBytes(encodeUtf8(word))]).map((token) => library.token_to_id(token)!);
  return (text) => {
    const ids: number[] = [];
    for (const section of sections.split(text)) {
      if (typeof section === "number") ids.push(section);
      else {
        for (const word of words(normalize(section))) {
          for (const id of cache.get(word, encodeWord)) ids.push(id);
        }
      }
    }
    return ids;
  };
}

/** The one pattern that words are cut by, where it means the same in JavaScript. */
function wordPattern(preTokenizer: unknown): string | undefined {
  const [first, second, ...more] = stages(preTokenizer);
  const isByteLevel = (stage: JsonObject | undefined): boolean =>
    stage?.type === "ByteLevel" && stage.add_prefix_space !== true;
  if (isByteLevel(first) && first.use_regex !== false && second === undefined) return gpt2Pattern;
  const splits = first?.type === "Split" && first.behavior === "Isolated" && first.invert !== true;
  if (!splits || !isByteLevel(second) || second.use_regex !== false || more.length > 0) {
    return undefined;
  }
  const pattern = (first.pattern as JsonObject | undefined)?.Regex;
  return typeof pattern === "string" && meansTheSame(pattern) ? pattern : undefined;
}

/** Only escapes that JavaScript reads as Oniguruma does, no class operators, no anchors. */
function meansTheSame(pattern: string): boolean {
  const escapes = [...pattern.matchAll(/\\(.)/gsu)].map((match) => match[1]);
  if (!escapes.every((escape) => "rntsSpP".includes(escape))) return false;
  if (/&&|\[:|\$|(?<!\[)\^|[+*?]\+/u.test(pattern)) return false;
  try {
    return splitter(pattern)("") !== undefined;
  } catch {
    return false;
  }
}
