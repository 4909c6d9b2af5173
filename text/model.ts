/**
 * What a tokenizer file format provides. {@linkcode Tokenizer} adds everything that is the same for
 * all of them: special tokens around a text, decoding, streaming, errors.
 *
 * @module
 */

import type { VocabularyParts } from "./vocabulary_parts.ts";

/** How a file format turns ordinary text into ids, and ids into bytes. */
export interface TokenModel {
  /** Token spellings as in the file, by id; a hole is an id that the file does not define. */
  readonly tokens: readonly (string | undefined)[];
  /** Ids that carry no text of their own (begin and end of text, roles); skipped on request when decoding. */
  readonly special: ReadonlySet<number>;
  /** How many spaces decoding takes away from the beginning: 0, 1 or Infinity (SentencePiece). */
  readonly leadingSpaces: number;
  /** Ids put before a text that stands alone: usually the beginning-of-sequence id. */
  readonly prefix: readonly number[];
  /** Ids put after a text that stands alone: usually none. */
  readonly suffix: readonly number[];
  /**
   * The ids of a text, without `prefix` and `suffix`. With `plain`, a special token written out in the
   * text is ordinary text.
   */
  encode(text: string, plain: boolean): number[];
  /** The raw bytes of a token that `tokens` defines. */
  bytes(id: number): Uint8Array;
  /** The Unicode normalisation that encoding applies; the identity for most formats. */
  normalize(text: string): string;
  /** The same as plain lists, where lists can say it. */
  readonly vocabulary?: VocabularyParts;
}

/** The ids with a role. `eos` lists every id that ends a generation. */
export interface SpecialIds {
  /** Beginning of a sequence. */
  readonly bos?: number;
  /** Ends of a sequence: end of text, end of turn. */
  readonly eos: readonly number[];
  /** Padding. */
  readonly pad?: number;
  /** What stands for text that the vocabulary cannot spell. */
  readonly unk?: number;
}

/** A model of tokens with its special ids and the chat template that came with it. */
export interface LoadedTokenizer {
  /** Encoding and bytes. */
  readonly model: TokenModel;
  /** Ids with a role. */
  readonly special: SpecialIds;
  /** Jinja source of the chat template, when the files carry one. */
  readonly chatTemplate?: string;
  /** The files it was read from, by name, for saving it next to a checkpoint. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}
