/**
 * UTF-8 helpers: lenient decoding and the length of a character that is still incomplete.
 *
 * @module
 */

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** Text of UTF-8 bytes; every invalid sequence becomes U+FFFD, a byte order mark is kept. */
export function decodeUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** UTF-8 bytes of a text; an unpaired surrogate becomes U+FFFD. */
export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** Joins byte strings. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Continuation bytes that a lead byte asks for, with the range of the first one (Unicode table 3-7). */
function sequence(lead: number): { more: number; low: number; high: number } {
  if (lead >= 0xc2 && lead <= 0xdf) return { more: 1, low: 0x80, high: 0xbf };
  if (lead === 0xe0) return { more: 2, low: 0xa0, high: 0xbf };
  if (lead === 0xed) return { more: 2, low: 0x80, high: 0x9f };
  if (lead >= 0xe1 && lead <= 0xef) return { more: 2, low: 0x80, high: 0xbf };
  if (lead === 0xf0) return { more: 3, low: 0x90, high: 0xbf };
  if (lead >= 0xf1 && lead <= 0xf3) return { more: 3, low: 0x80, high: 0xbf };
  if (lead === 0xf4) return { more: 3, low: 0x80, high: 0x8f };
  return { more: 0, low: 0, high: 0 };
}

/**
 * How many bytes at the end are the beginning of a character that later bytes can still complete
 * (0 to 3). Bytes that no continuation can make valid do not count: they decode to U+FFFD at once.
 */
export function incompleteTail(bytes: Uint8Array): number {
  for (let length = 1; length <= 3 && length <= bytes.length; length++) {
    const lead = bytes[bytes.length - length];
    if ((lead & 0xc0) === 0x80) continue;
    const { more, low, high } = sequence(lead);
    if (length > more) return 0;
    const second = bytes[bytes.length - length + 1];
    return length === 1 || (second >= low && second <= high) ? length : 0;
  }
  return 0;
}
