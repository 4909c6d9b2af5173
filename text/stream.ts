/**
 * Text from token ids, one at a time, without ever cutting a UTF-8 character in half.
 *
 * @module
 */

import { concatBytes, decodeUtf8, incompleteTail } from "./utf8.ts";

/** What a stream needs of a tokenizer. */
export interface TokenBytes {
  /** Raw bytes of a token. */
  bytesOf(id: number): Uint8Array;
  /** Whether the token carries no text of its own. */
  isSpecial(id: number): boolean;
  /** How many spaces decoding takes away from the beginning: 0, 1 or Infinity. */
  readonly leadingSpaces: number;
  /** Ids with a role; the spaces of the unknown token's text are its own and stay. */
  readonly special: { readonly unk?: number };
}

const nothing = new Uint8Array(0);

/**
 * An incremental decoder. The pieces that {@linkcode push} and {@linkcode flush} return, joined, are
 * exactly what decoding all the ids at once gives.
 *
 * @example
 * ```ts
 * import { trainBpe } from "@denotron/denotron/text";
 * import assert from "node:assert/strict";
 *
 * const tokenizer = trainBpe(["a"], { vocabularySize: 256 }).tokenizer();
 * const stream = tokenizer.stream();
 * const pieces = tokenizer.encode("é!").map((id) => stream.push(id));
 * assert.deepEqual(pieces, ["", "é", "!"]);
 * assert.equal(stream.flush(), "");
 * ```
 */
export class TokenStream {
  readonly #source: TokenBytes;
  readonly #special: boolean;
  #pending: Uint8Array = nothing;
  #leadingSpaces: number;

  /** `special`: whether special tokens appear as their spelling (default true) or not at all. */
  constructor(source: TokenBytes, options: { readonly special?: boolean } = {}) {
    this.#source = source;
    this.#leadingSpaces = source.leadingSpaces;
    this.#special = options.special ?? true;
  }

  /**
   * Takes the next id and returns the text that is now certain, possibly empty.
   *
   * Throws TokenizerError for an id outside the vocabulary.
   */
  push(id: number): string {
    return this.#emit(this.#take(id));
  }

  /** Takes several ids at once; the same text as pushing them one by one. */
  pushAll(ids: Iterable<number>): string {
    return this.#emit(concatBytes(Array.from(ids, (id) => this.#take(id))));
  }

  /** The bytes that an id adds to the text. */
  #take(id: number): Uint8Array {
    let bytes = this.#source.bytesOf(id);
    if (!this.#special && this.#source.isSpecial(id)) return nothing;
    if (id === this.#source.special.unk) this.#leadingSpaces = 0;
    while (this.#leadingSpaces > 0 && bytes[0] === 0x20) {
      bytes = bytes.subarray(1);
      this.#leadingSpaces--;
    }
    if (bytes.length > 0) this.#leadingSpaces = 0;
    return bytes;
  }

  /** Text of the bytes, without a character that is still incomplete at their end. */
  #emit(added: Uint8Array): string {
    if (added.length === 0) return "";
    const bytes = this.#pending.length > 0 ? concatBytes([this.#pending, added]) : added;
    const tail = incompleteTail(bytes), certain = bytes.length - tail;
    this.#pending = tail === 0 ? nothing : bytes.slice(certain);
    return decodeUtf8(tail === 0 ? bytes : bytes.subarray(0, certain));
  }

  /** Ends the text: what is left of an incomplete character, as U+FFFD. The stream can then be used again. */
  flush(): string {
    const rest = decodeUtf8(this.#pending);
    this.#pending = nothing;
    this.#leadingSpaces = this.#source.leadingSpaces;
    return rest;
  }
}
