/**
 * Reading tiktoken-format vocabularies: one base64 byte string and its rank per line, as Llama 3
 * publishes them. Reference: https://github.com/openai/tiktoken.
 *
 * @module
 */

import { TokenizerFormatError } from "./errors.ts";
import { spellBytes, unspellBytes } from "./byte_map.ts";
import { mergeByRank } from "./merge.ts";
import type { LoadedTokenizer } from "./model.ts";
import { withoutUndefined } from "./hugging_face_config.ts";
import { llama3Pattern, splitter } from "./pattern.ts";
import { SectionSplitter } from "./sections.ts";
import { encodeUtf8 } from "./utf8.ts";
import { WordCache } from "./word_cache.ts";

/** What a rank file does not say. The defaults are those of Llama 3.1. */
export interface TiktokenOptions {
  /** Cuts text into words. */
  readonly pattern?: string;
  /** Special tokens, with the ids that follow the ranks. */
  readonly specialTokens?: readonly string[];
  /** Which special token begins a text. */
  readonly bos?: string;
  /** Which special tokens end one. */
  readonly eos?: readonly string[];
  /** Which special token pads. */
  readonly pad?: string;
}

const llama3SpecialCount = 256;

/** The special tokens of Llama 3.1, in the order of its `tokenizer.json`. */
export function llama3SpecialTokens(): string[] {
  const named = new Map([
    [0, "begin_of_text"],
    [1, "end_of_text"],
    [4, "finetune_right_pad_id"],
    [6, "start_header_id"],
    [7, "end_header_id"],
    [8, "eom_id"],
    [9, "eot_id"],
    [10, "python_tag"],
  ]);
  let reserved = 0;
  return Array.from(
    { length: llama3SpecialCount },
    (_, i) => `<|${named.get(i) ?? `reserved_special_token_${reserved++}`}|>`,
  );
}

/** Ids beyond this are a damaged file: the largest published vocabularies have about 300,000. */
const highestRank = 10_000_000;

/** Reads a rank file. Throws TokenizerFormatError for a line that is not a token and its rank. */
export function readTiktoken(file: Uint8Array, options: TiktokenOptions = {}): LoadedTokenizer {
  const ranks = readRanks(file);
  const names = options.specialTokens ?? llama3SpecialTokens();
  const first = [...ranks.values()].reduce((highest, rank) => Math.max(highest, rank), -1) + 1;
  const specialIds = new Map(names.map((name, i) => [name, first + i]));
  const tokens: (string | undefined)[] = [];
  for (const [token, rank] of ranks) tokens[rank] = token;
  for (const [name, id] of specialIds) tokens[id] = name;
  const encodeWord = wordEncoder(ranks);
  const words = splitter(options.pattern ?? llama3Pattern);
  const sections = new SectionSplitter(specialIds);
  const idOf = (name: string | undefined): number | undefined =>
    name === undefined ? undefined : specialIds.get(name);
  const eos = (options.eos ?? ["<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"])
    .map(idOf).filter((id) => id !== undefined);
  const bos = idOf(options.bos ?? "<|begin_of_text|>");
  const special = new Set(specialIds.values());
  return {
    model: {
      tokens,
      special,
      leadingSpaces: 0,
      prefix: bos === undefined ? [] : [bos],
      suffix: [],
      encode: (text, plain) =>
        (plain ? [text] : sections.split(text)).flatMap((section) =>
          typeof section === "number" ? [section] : words(section).flatMap(encodeWord)
        ),
      bytes: (id) => special.has(id) ? encodeUtf8(tokens[id]!) : unspellBytes(tokens[id]!)!,
      normalize: (text) => text,
    },
    special: withoutUndefined(
      bos,
      eos,
      idOf(options.pad ?? "<|finetune_right_pad_id|>"),
      undefined,
    ),
    files: new Map([["tokenizer.model", file]]),
  };
}

/** Words to ids: bytes joined by rank, spelled in the byte alphabet. */
function wordEncoder(ranks: ReadonlyMap<string, number>): (word: string) => readonly number[] {
  const cache = new WordCache();
  const rank = (joined: string): number | undefined => ranks.get(joined);
  const encode = (word: string): number[] => {
    const spelled = spellBytes(encodeUtf8(word));
    const whole = ranks.get(spelled);
    if (whole !== undefined) return [whole];
    return mergeByRank([...spelled], rank).map((token) => ranks.get(token)!);
  };
  return (word) => cache.get(word, encode);
}

function readRanks(file: Uint8Array): Map<string, number> {
  const ranks = new Map<string, number>();
  const seen = new Set<number>();
  const lines = new TextDecoder("latin1").decode(file).split("\n");
  lines.forEach((line, i) => {
    if (line.trim() === "") return;
    const match = /^([A-Za-z0-9+/]+={0,2}) (\d{1,8})\r?$/.exec(line);
    const rank = Number(match?.[2]);
    const bytes = match === null ? undefined : base64(match[1]);
    if (bytes === undefined || rank > highestRank || seen.has(rank)) {
      throw new TokenizerFormatError(
        `tiktoken ranks: line ${i + 1} is not a base64 token and a new rank, ` +
          `${JSON.stringify(line.slice(0, 60))}. The file is cut or not a tiktoken vocabulary.`,
      );
    }
    seen.add(rank);
    ranks.set(spellBytes(bytes), rank);
  });
  for (let byte = 0; byte < 256; byte++) {
    if (ranks.has(spellBytes(Uint8Array.of(byte)))) continue;
    throw new TokenizerFormatError(
      `tiktoken ranks: byte ${byte} has no token (256 needed, ${ranks.size} tokens read). ` +
        "The file is cut or not a tiktoken vocabulary.",
    );
  }
  return ranks;
}

function base64(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    return undefined;
  }
}
