/**
 * Where each token of an encoded text lies in it.
 *
 * @module
 */

import { TokenizerError } from "./errors.ts";
import type { TokenBytes } from "./stream.ts";
import { encodeUtf8 } from "./utf8.ts";

const space = 0x20;

/**
 * The end of every token, in UTF-8 bytes from the beginning of the text; it begins where the token
 * before it ends.
 *
 * Spaces that the tokenizer added or dropped are allowed for. Throws TokenizerError where it changed
 * the text in another way.
 */
export function tokenEnds(source: TokenBytes, text: string, ids: readonly number[]): Int32Array {
  const bytes = encodeUtf8(text);
  const ends = new Int32Array(ids.length);
  let at = 0;
  ids.forEach((id, i) => {
    const end = endOfToken(bytes, at, source.bytesOf(id));
    if (end < 0) {
      throw new TokenizerError(
        `tokenEnds: token ${i} (id ${id}) is not what the text has at byte ${at}, ` +
          `${JSON.stringify(text.slice(0, 40))}. Normalise the text before encoding it.`,
      );
    }
    ends[i] = at = end;
  });
  return ends;
}

/** Matches a token as it is, with a space of the tokenizer's own, or after dropped white space; else -1. */
function endOfToken(text: Uint8Array, start: number, token: Uint8Array): number {
  for (let at = start;; at++) {
    if (matches(text, at, token)) return at + token.length;
    const rest = token.subarray(1);
    if (token[0] === space && matches(text, at, rest)) return at + rest.length;
    if (!isWhiteSpace(text[at])) return -1;
  }
}

function matches(text: Uint8Array, at: number, token: Uint8Array): boolean {
  return at + token.length <= text.length && token.every((byte, i) => text[at + i] === byte);
}

function isWhiteSpace(byte: number | undefined): boolean {
  return byte === space || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
}
