/**
 * Unigram segmentation: the sequence of pieces with the highest sum of log probabilities
 * (Kudo 2018, Viterbi search).
 *
 * @module
 */

/** A piece that the search may use. */
export interface ScoredPiece {
  /** Vocabulary id. */
  readonly id: number;
  /** Log probability. */
  readonly score: number;
}

/** Text that no piece spells, as the search reports it. */
export interface Segment {
  /** The characters of the segment. */
  readonly text: string;
  /** The id of the piece, or undefined for a single character that no piece spells. */
  readonly id: number | undefined;
}

/** Pieces by spelling; null for a text that only begins one. */
export type PrefixMap = ReadonlyMap<string, ScoredPiece | null>;

/** Adds every beginning of every piece, so that a search knows when to stop. */
export function prefixMap(pieces: ReadonlyMap<string, ScoredPiece>): PrefixMap {
  const prefixes = new Map<string, ScoredPiece | null>(pieces);
  for (const text of pieces.keys()) {
    for (let end = 1; end < text.length; end++) {
      const prefix = text.slice(0, end);
      if (!prefixes.has(prefix)) prefixes.set(prefix, null);
    }
  }
  return prefixes;
}

/**
 * The best segmentation of `text`. `unknownScore` is the score of a character that no piece spells.
 * O(n · longest piece).
 */
export function viterbi(text: string, pieces: PrefixMap, unknownScore: number): Segment[] {
  const length = text.length;
  // best[end]: score of the best segmentation of text[0, end); the reference keeps it in f32.
  const best = new Float32Array(length + 1);
  const begin = new Int32Array(length + 1).fill(-1);
  const chosen: (number | undefined)[] = new Array(length + 1);
  const offer = (start: number, end: number, score: number, id: number | undefined): void => {
    const sum = Math.fround(best[start] + score);
    if (begin[end] >= 0 && sum <= best[end]) return;
    best[end] = sum;
    begin[end] = start;
    chosen[end] = id;
  };
  for (let start = 0; start < length;) {
    const next = start + String.fromCodePoint(text.codePointAt(start)!).length;
    let covered = false;
    for (let end = start + 1; end <= length; end++) {
      const piece = pieces.get(text.slice(start, end));
      if (piece === undefined) break;
      if (piece === null) continue;
      covered ||= end === next;
      offer(start, end, piece.score, piece.id);
    }
    if (!covered) offer(start, next, unknownScore, undefined);
    start = next;
  }
  const segments: Segment[] = [];
  for (let end = length; end > 0; end = begin[end]) {
    segments.push({ text: text.slice(begin[end], end), id: chosen[end] });
  }
  return segments.reverse();
}
