/**
 * Where the rows of a file lie in it. One pass finds them; memory is 12 bytes a row and one chunk.
 *
 * @module
 */

/** Beginnings and lengths of rows, in bytes. */
export class SpanIndex {
  #starts = new Float64Array(64); // beyond 2³² in large files
  #lengths = new Uint32Array(64);
  #count = 0;

  /** How many rows there are. */
  get count(): number {
    return this.#count;
  }

  /** Adds a row. */
  push(start: number, length: number): void {
    if (this.#count === this.#starts.length) this.#grow();
    this.#starts[this.#count] = start;
    this.#lengths[this.#count++] = length;
  }

  /** The first byte of a row. */
  start(index: number): number {
    return this.#starts[index];
  }

  /** The bytes of a row. */
  length(index: number): number {
    return this.#lengths[index];
  }

  #grow(): void {
    const [starts, lengths] = [this.#starts, this.#lengths];
    this.#starts = new Float64Array(2 * starts.length);
    this.#lengths = new Uint32Array(2 * lengths.length);
    this.#starts.set(starts);
    this.#lengths.set(lengths);
  }
}

/** The contents of a file, in order. */
export type Chunks = Iterable<Uint8Array>;

const newline = 0x0a;

/** One span a line, without its line break, blank ones included: row i is line i + 1. */
export function lineSpans(chunks: Chunks): SpanIndex {
  const spans = new SpanIndex();
  let start = 0, at = 0;
  for (const chunk of chunks) {
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, end + 1)) {
      spans.push(start, at + end - start);
      start = at + end + 1;
    }
    at += chunk.length;
  }
  if (start < at) spans.push(start, at - start);
  return spans;
}

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c];
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * One span an element of a JSON array. What an element holds is not checked, only strings and brackets are followed;
 * null where the brackets do not close.
 */
export function elementSpans(chunks: Chunks): SpanIndex | null {
  const spans = new SpanIndex();
  let before = 0, depth = 0, start = 0;
  let inString = false, escaped = false, filled = false;
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at++) {
      if (inString) {
        // Strings are most of a file: the search for their ends is left to native code.
        const close = chunk.indexOf(quote, at), end = close < 0 ? chunk.length : close;
        escaped = isEscaped(chunk, at, end, escaped);
        inString = close < 0 || escaped;
        if (close >= 0) escaped = false;
        at = end;
        continue;
      }
      const byte = chunk[at];
      if (byte === quote) inString = filled = true;
      else if (byte === openBracket || byte === openBrace) {
        if (depth++ === 0) start = before + at + 1;
        else filled = true;
      } else if (byte === closeBracket || byte === closeBrace) {
        if (--depth === 0 && filled) spans.push(start, before + at - start);
      } else if (byte === comma && depth === 1) {
        spans.push(start, before + at - start);
        start = before + at + 1;
        filled = false;
      } else if (depth === 1 && byte > 0x20) filled = true;
    }
    before += chunk.length;
  }
  return depth === 0 ? spans : null;
}

/** Whether what stands at `end` is escaped, given whether what stands at `from` is: an odd number of backslashes does it. */
function isEscaped(bytes: Uint8Array, from: number, end: number, escaped: boolean): boolean {
  let first = end;
  while (first > from && bytes[first - 1] === backslash) first--;
  const odd = (end - first) % 2 === 1;
  return first === from ? odd !== escaped : odd;
}

/** How a plain text is cut. */
export interface TextCut {
  /** What stands between documents; where it is left out, the file is one document. */
  readonly separator?: string;
  /** Bytes of the longest row. A longer document becomes several rows. */
  readonly pieceBytes: number;
}

/**
 * Documents of a plain text, long ones in pieces that end with a line where they can. A piece that continues a
 * document begins where the row before it ends; between documents lies a separator, so a gap.
 */
export function pieceSpans(chunks: Chunks, { separator, pieceBytes }: TextCut): SpanIndex {
  const spans = new SpanIndex();
  const mark = new TextEncoder().encode(separator ?? "");
  let pending: Uint8Array = new Uint8Array(), start = 0;
  const take = (length: number, skipped: number): void => {
    if (length > 0) spans.push(start, length);
    start += length + skipped;
    pending = pending.subarray(length + skipped);
  };
  const cut = (least: number): void => {
    while (pending.length > least) {
      const end = mark.length > 0 ? find(pending, mark, pieceBytes + mark.length) : -1;
      if (end >= 0) take(end, mark.length);
      else if (pending.length <= pieceBytes) break;
      else take(pieceEnd(pending, pieceBytes), 0);
    }
  };
  for (const chunk of chunks) {
    pending = concatBytes(pending, chunk);
    cut(pieceBytes + mark.length);
  }
  cut(0);
  if (pending.length > 0) take(pending.length, 0);
  return spans;
}

/** Where a piece of at most `limit` bytes ends: after the last line break, else before a character that would be cut. */
function pieceEnd(bytes: Uint8Array, limit: number): number {
  const line = bytes.lastIndexOf(newline, limit - 1);
  if (line >= 0) return line + 1;
  let end = limit;
  while (end > 1 && (bytes[end] & 0xc0) === 0x80) end--;
  return end;
}

/** Where `part` first lies within the first `limit` bytes, or -1. */
function find(bytes: Uint8Array, part: Uint8Array, limit: number): number {
  const last = Math.min(bytes.length, limit) - part.length;
  for (
    let at = bytes.indexOf(part[0]);
    at >= 0 && at <= last;
    at = bytes.indexOf(part[0], at + 1)
  ) {
    if (part.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return -1;
}

function concatBytes(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}
