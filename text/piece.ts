/**
 * SentencePiece spelling: `▁` (U+2581) stands for a space and `<0x0A>` for a single byte.
 *
 * @module
 */

import { encodeUtf8 } from "./utf8.ts";

/** The character that SentencePiece writes for a space. */
export const spaceMark = "\u2581";

/** The byte that a byte piece such as `<0x0A>` spells, or undefined. */
export function byteOfPiece(piece: string): number | undefined {
  const match = /^<0x([0-9A-Fa-f]{2})>$/.exec(piece);
  return match === null ? undefined : parseInt(match[1], 16);
}

/** The byte piece of a byte: 10 gives `<0x0A>`. */
export function bytePiece(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

/** The raw bytes of a piece. `mark` is the character that stands for a space. */
export function pieceBytes(piece: string, mark: string = spaceMark): Uint8Array {
  return encodeUtf8(piece.replaceAll(mark, " "));
}
