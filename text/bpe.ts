/**
 * Training byte-level BPE tokenizers and writing them as Hugging Face files.
 *
 * @module
 */

import { join } from "node:path";
import { learnMerges } from "./bpe_merges.ts";
import { byteCharacters, spellBytes, unspellBytes } from "./byte_map.ts";
import { TokenizerError } from "./errors.ts";
import type { JsonObject } from "./hugging_face_config.ts";
import { gpt2Pattern, splitter } from "./pattern.ts";
import { SectionSplitter } from "./sections.ts";
import { Tokenizer } from "./tokenizer.ts";
import { byteLevelJson } from "./tokenizer_json.ts";
import { encodeUtf8 } from "./utf8.ts";

/** What to train. */
export interface BpeOptions {
  /** Tokens in all: special tokens, 256 bytes, and merges. Fewer result from a small corpus. */
  readonly vocabularySize: number;
  /** Tokens with the first ids. The corpus is cut where they are written out, and they are never merged. */
  readonly specialTokens?: readonly string[];
  /** The special token put before a text that stands alone. */
  readonly bos?: string;
  /** The special token that ends a text or a turn. */
  readonly eos?: string;
  /** The special token for padding. */
  readonly pad?: string;
  /** Cuts text into words, which tokens never cross (default {@linkcode gpt2Pattern}). */
  readonly pattern?: string;
  /** Pairs that occur less often are not merged (default 2). */
  readonly minFrequency?: number;
  /** Jinja source to write with the tokenizer. */
  readonly chatTemplate?: string;
}

/** A trained vocabulary. */
export interface TrainedBpe {
  /** Token to id, spelled in the byte alphabet. */
  readonly vocabulary: ReadonlyMap<string, number>;
  /** Merges `"left right"` in the order they were learned. */
  readonly merges: readonly string[];
  /** The contents of `tokenizer.json`. */
  readonly json: JsonObject;
  /** The contents of `tokenizer_config.json`. */
  readonly config: JsonObject;
  /** The tokenizer, ready to use. */
  tokenizer(): Tokenizer;
  /** Writes `tokenizer.json` and `tokenizer_config.json` into a folder. */
  save(folder: string): Promise<void>;
}

/**
 * Learns a byte-level BPE vocabulary (GPT-2 style) from texts.
 *
 * The result depends on the texts alone: counts are exact, and of equally frequent pairs the one with
 * the greatest bytes is merged first. Throws TokenizerError where the size has no room for the bytes.
 *
 * @example
 * ```ts
 * import { trainBpe } from "@denotron/denotron/text";
 * import assert from "node:assert/strict";
 *
 * const trained = trainBpe(["low low low lower lowest"], { vocabularySize: 258 });
 * assert.deepEqual(trained.merges, ["o w", "l ow"]);
 * assert.equal(trained.tokenizer().encode("low").length, 1);
 * ```
 */
export function trainBpe(texts: Iterable<string>, options: BpeOptions): TrainedBpe {
  const specialTokens = options.specialTokens ?? [];
  check(options, specialTokens);
  const pattern = options.pattern ?? gpt2Pattern;
  const words = countWords(texts, specialTokens, pattern);
  // bytes[id]: byte strings by id, counted from the first byte; the order of the byte alphabet.
  const bytes = [...byteCharacters].sort().map((character) => binary(unspellBytes(character)!));
  const idOfByte = new Map(bytes.map((byte, id) => [byte, id]));
  const counted = [...words].map(([word, count]) => ({
    symbols: Array.from(binary(encodeUtf8(word)), (byte) => idOfByte.get(byte)!),
    count,
  }));
  const wanted = options.vocabularySize - specialTokens.length - bytes.length;
  const learned = learnMerges(counted, bytes, wanted, options.minFrequency ?? 2);
  const spelled = bytes.map((text) => spellBytes(Uint8Array.from(text, (c) => c.charCodeAt(0))));
  const vocabulary = new Map([...specialTokens, ...spelled].map((token, id) => [token, id]));
  const merges = learned.map(({ left, right }) => `${spelled[left]} ${spelled[right]}`);
  const json = byteLevelJson({
    vocabulary,
    merges,
    added: specialTokens.map((content, id) => ({ id, content, special: true })),
    pattern,
    ...(options.bos === undefined ? {} : { bos: options.bos }),
  });
  const config = configOf(options);
  return {
    vocabulary,
    merges,
    json,
    config,
    tokenizer: () => Tokenizer.fromJson(json, config),
    save: (folder) => save(folder, json, config),
  };
}

function check(options: BpeOptions, specialTokens: readonly string[]): void {
  const least = specialTokens.length + byteCharacters.length;
  if (!(options.vocabularySize >= least)) {
    throw new TokenizerError(
      `trainBpe: the vocabulary has no room for the 256 bytes and the special tokens, ` +
        `${options.vocabularySize} asked (${least} needed). Ask for more tokens.`,
    );
  }
  if (new Set(specialTokens).size !== specialTokens.length || specialTokens.includes("")) {
    throw new TokenizerError("trainBpe: a special token is empty or given twice. Name each once.");
  }
  for (const role of ["bos", "eos", "pad"] as const) {
    const token = options[role];
    if (token !== undefined && !specialTokens.includes(token)) {
      throw new TokenizerError(
        `trainBpe: ${role} is ${JSON.stringify(token)}, which is not a special token. ` +
          "Add it to specialTokens.",
      );
    }
  }
}

/** How often each word occurs. */
function countWords(
  texts: Iterable<string>,
  specialTokens: readonly string[],
  pattern: string,
): Map<string, number> {
  const counts = new Map<string, number>();
  const sections = new SectionSplitter(specialTokens.map((token, id) => [token, id]));
  const split = splitter(pattern);
  for (const text of texts) {
    for (const section of sections.split(text)) {
      if (typeof section === "number") continue;
      for (const word of split(section)) counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  return counts;
}

/** Bytes as a string of one character per byte, which compares and joins as the bytes do. */
function binary(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

function configOf(options: BpeOptions): JsonObject {
  return {
    tokenizer_class: "PreTrainedTokenizerFast",
    clean_up_tokenization_spaces: false,
    add_bos_token: options.bos !== undefined,
    ...(options.bos === undefined ? {} : { bos_token: options.bos }),
    ...(options.eos === undefined ? {} : { eos_token: options.eos }),
    ...(options.pad === undefined ? {} : { pad_token: options.pad }),
    ...(options.chatTemplate === undefined ? {} : { chat_template: options.chatTemplate }),
  };
}

async function save(folder: string, json: JsonObject, config: JsonObject): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const write = (name: string, value: JsonObject): Promise<void> =>
    Deno.writeTextFile(join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
  await write("tokenizer.json", json);
  await write("tokenizer_config.json", config);
}
