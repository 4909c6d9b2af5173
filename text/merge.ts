/**
 * Byte-pair encoding by rank: join the adjacent pair whose joined spelling ranks best, until no pair
 * is in the vocabulary. SentencePiece, llama2.c and tiktoken differ only in what they call the rank.
 *
 * @module
 */

import { Heap } from "./heap.ts";

/**
 * Joins adjacent symbols, the lowest rank first and the leftmost first among equals.
 *
 * `rank(joined)` is undefined where the joined spelling is not in the vocabulary. O(n log n).
 */
export function mergeByRank(
  symbols: readonly string[],
  rank: (joined: string) => number | undefined,
): string[] {
  const symbol = symbols.slice();
  const length = symbol.length;
  // A doubly linked list over positions: a joined pair lives on at its left position.
  const next = Int32Array.from({ length }, (_, i) => i + 1);
  const previous = Int32Array.from({ length }, (_, i) => i - 1);
  const queue = new Heap<Pair>(comesFirst);
  const offer = (left: number): void => {
    const right = next[left];
    if (left < 0 || right >= length) return;
    const joined = symbol[left] + symbol[right];
    const found = rank(joined);
    if (found !== undefined) queue.push({ rank: found, left, joined });
  };
  for (let i = 0; i + 1 < length; i++) offer(i);
  for (let pair = queue.pop(); pair !== undefined; pair = queue.pop()) {
    const { left, joined } = pair;
    const right = next[left];
    // The pair was offered before a neighbour was joined: it no longer stands here.
    if (right >= length || symbol[left] === "" || symbol[left] + symbol[right] !== joined) continue;
    symbol[left] = joined;
    symbol[right] = "";
    next[left] = next[right];
    if (next[left] < length) previous[next[left]] = left;
    if (previous[left] >= 0) offer(previous[left]);
    offer(left);
  }
  return symbol.filter((text) => text !== "");
}

interface Pair {
  readonly rank: number;
  readonly left: number;
  readonly joined: string;
}

function comesFirst(a: Pair, b: Pair): boolean {
  return a.rank !== b.rank ? a.rank < b.rank : a.left < b.left;
}
