/**
 * The character map of a SentencePiece model: replacement of character sequences by normalised ones,
 * stored as a double-array trie (darts-clone) over UTF-8 bytes. The longest match wins.
 *
 * @module
 */

import { TokenizerFormatError } from "./errors.ts";
import { decodeUtf8, encodeUtf8 } from "./utf8.ts";

/** The normaliser that changes nothing. */
export function keepText(text: string): string {
  return text;
}

/** A normaliser made of a `precompiled_charsmap`; {@linkcode keepText} for an empty one. */
export function charsmapNormalizer(map: Uint8Array): (text: string) => string {
  if (map.length === 0) return keepText;
  const trieBytes = map.length < 4
    ? Infinity
    : new DataView(map.buffer, map.byteOffset).getUint32(0, true);
  if (trieBytes > map.length - 4 || trieBytes % 4 !== 0 || trieBytes === 0) {
    throw new TokenizerFormatError(
      `SentencePiece model: its character map is cut, the trie has ${trieBytes} bytes ` +
        `(${map.length - 4} present). Copy the file again, whole.`,
    );
  }
  const units = new Uint32Array(map.slice(4, 4 + trieBytes).buffer);
  const replacements = map.subarray(4 + trieBytes);
  return (text) => {
    const bytes = encodeUtf8(text);
    const normal: string[] = [];
    for (let at = 0; at < bytes.length;) {
      const match = longestMatch(units, bytes, at);
      if (match.length > 0) {
        normal.push(replacementAt(replacements, match.value));
        at += match.length;
      } else {
        const length = characterLength(bytes[at]);
        normal.push(decodeUtf8(bytes.subarray(at, at + length)));
        at += length;
      }
    }
    return normal.join("");
  };
}

/** The longest key of the trie that the bytes at `start` begin with; length 0 for none. */
function longestMatch(
  units: Uint32Array,
  bytes: Uint8Array,
  start: number,
): { length: number; value: number } {
  let node = offsetOf(units[0]);
  let found = { length: 0, value: 0 };
  for (let at = start; at < bytes.length; at++) {
    node ^= bytes[at];
    // A hostile file can point outside the array: no match there.
    if (node >= units.length || (units[node] & 0x800000ff) !== bytes[at]) break;
    const hasLeaf = (units[node] & 0x100) !== 0;
    node ^= offsetOf(units[node]);
    if (node >= units.length) break;
    if (hasLeaf) found = { length: at - start + 1, value: units[node] & 0x7fffffff };
  }
  return found;
}

/** The distance to the children of a node, from the packed unit (darts-clone `DoubleArrayUnit::offset`). */
function offsetOf(unit: number): number {
  return ((unit >>> 10) << ((unit & 0x200) >>> 6)) >>> 0;
}

/** A replacement ends at a zero byte. */
function replacementAt(replacements: Uint8Array, start: number): string {
  const end = replacements.indexOf(0, start);
  return decodeUtf8(replacements.subarray(start, end < 0 ? replacements.length : end));
}

function characterLength(lead: number): number {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}
