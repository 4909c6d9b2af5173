/**
 * The byte alphabet of byte-level BPE: each of the 256 bytes as one printable character, so that a
 * vocabulary of byte strings can be written as JSON text. Printable Latin-1 bytes stand for themselves,
 * the others for U+0100 and up, in order (GPT-2, `encoder.py`).
 *
 * @module
 */

function isPrintable(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

function alphabet(): string[] {
  let next = 0x100;
  return Array.from(
    { length: 256 },
    (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++),
  );
}

/** `byteCharacters[byte]`: the character that stands for a byte. */
export const byteCharacters: readonly string[] = alphabet();

const byteOfCharacter: ReadonlyMap<string, number> = new Map(
  byteCharacters.map((character, byte) => [character, byte]),
);

/** Spells bytes in the byte alphabet: `" a"` becomes `"Ġa"`. */
export function spellBytes(bytes: Uint8Array): string {
  let spelled = "";
  for (const byte of bytes) spelled += byteCharacters[byte];
  return spelled;
}

/** The bytes that a byte-level token spells, or undefined where a character is not in the alphabet. */
export function unspellBytes(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfCharacter.get(token[i]);
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}
