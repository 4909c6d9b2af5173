/**
 * The merge loop of byte-pair encoding training (Sennrich et al. 2016): again and again the most frequent
 * adjacent pair becomes a token.
 *
 * Counts are exact and kept up to date: a merge revisits only the words that contain the pair.
 *
 * @module
 */

import { Heap } from "./heap.ts";

/** A word of the corpus: its symbols and how often it occurs. */
export interface CountedWord {
  /** Ids, from single bytes to what merging has made of them. */
  symbols: number[];
  /** Occurrences in the corpus. */
  readonly count: number;
}

/** A learned merge: the two ids that were joined. The new id is the next free one. */
export interface Merge {
  /** Left id. */
  readonly left: number;
  /** Right id. */
  readonly right: number;
}

// A pair as one number, so that it can be a Map key: ids stay below 2^26.
const keyBase = 2 ** 26;
const keyOf = (left: number, right: number): number => left * keyBase + right;

/**
 * Learns merges in place until there are `wanted`, or no pair occurs `minFrequency` times.
 *
 * `bytes[id]` is the byte string of an id, one character per byte; new ids are appended to it. Among
 * equally frequent pairs the greatest (left bytes, right bytes) is merged first.
 */
export function learnMerges(
  words: readonly CountedWord[],
  bytes: string[],
  wanted: number,
  minFrequency: number,
): Merge[] {
  const counts = new Map<number, number>();
  const wordsWith = new Map<number, number[]>();
  const queue = new Heap<Candidate>(candidateOrder(bytes));
  words.forEach((word, index) => {
    countPairs(word, +1, counts);
    for (let i = 0; i + 1 < word.symbols.length; i++) {
      remember(wordsWith, keyOf(word.symbols[i], word.symbols[i + 1]), index);
    }
  });
  for (const [key, count] of counts) queue.push({ key, count });
  const merges: Merge[] = [];
  while (merges.length < wanted) {
    const best = queue.pop();
    if (best === undefined || best.count < minFrequency) break;
    const count = counts.get(best.key) ?? 0;
    if (count !== best.count) {
      // Earlier merges took some of its occurrences: it waits with its present count.
      if (count > 0) queue.push({ key: best.key, count });
      continue;
    }
    const left = Math.floor(best.key / keyBase);
    const right = best.key % keyBase;
    const changes = new Map<number, number>();
    for (const index of new Set(wordsWith.get(best.key))) {
      const word = words[index];
      countPairs(word, -1, changes);
      word.symbols = joinPair(word.symbols, left, right, bytes.length);
      countPairs(word, +1, changes);
      for (let i = 0; i + 1 < word.symbols.length; i++) {
        const key = keyOf(word.symbols[i], word.symbols[i + 1]);
        if (word.symbols[i] === bytes.length || word.symbols[i + 1] === bytes.length) {
          remember(wordsWith, key, index);
        }
      }
    }
    wordsWith.delete(best.key);
    bytes.push(bytes[left] + bytes[right]);
    for (const [key, change] of changes) {
      const now = (counts.get(key) ?? 0) + change;
      if (now > 0) counts.set(key, now);
      else counts.delete(key);
      if (change > 0) queue.push({ key, count: now });
    }
    merges.push({ left, right });
  }
  return merges;
}

/** Adds `sign` times the occurrences of every adjacent pair of a word. */
function countPairs(word: CountedWord, sign: number, counts: Map<number, number>): void {
  const { symbols, count } = word;
  for (let i = 0; i + 1 < symbols.length; i++) {
    const key = keyOf(symbols[i], symbols[i + 1]);
    counts.set(key, (counts.get(key) ?? 0) + sign * count);
  }
}

function remember(wordsWith: Map<number, number[]>, key: number, index: number): void {
  const known = wordsWith.get(key);
  if (known === undefined) wordsWith.set(key, [index]);
  else if (known[known.length - 1] !== index) known.push(index);
}

/** Replaces the pair by `joined`, from left to right. */
function joinPair(symbols: number[], left: number, right: number, joined: number): number[] {
  const result: number[] = [];
  for (let i = 0; i < symbols.length; i++) {
    const here = symbols[i] === left && symbols[i + 1] === right;
    result.push(here ? joined : symbols[i]);
    if (here) i++;
  }
  return result;
}

interface Candidate {
  readonly key: number;
  readonly count: number;
}

/** Most frequent first, then the greatest byte strings. */
function candidateOrder(bytes: readonly string[]): (a: Candidate, b: Candidate) => boolean {
  return (a, b) => {
    if (a.count !== b.count) return a.count > b.count;
    const leftA = bytes[Math.floor(a.key / keyBase)];
    const leftB = bytes[Math.floor(b.key / keyBase)];
    if (leftA !== leftB) return leftA > leftB;
    return bytes[a.key % keyBase] > bytes[b.key % keyBase];
  };
}
