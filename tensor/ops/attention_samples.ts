/**
 * What attention is tested with.
 *
 * @module
 */
import type { Shape } from "../layout.ts";
import type { Sample } from "../op.ts";
import type { AttentionBackwardInputs, AttentionInputs, AttentionParams } from "./attention.ts";

interface Case {
  readonly q: Shape;
  readonly k: Shape;
  readonly queryOffsets: readonly number[];
  readonly keyStarts: readonly number[];
  readonly keyLengths: readonly number[];
  readonly causal?: boolean;
  readonly window?: number;
  readonly blockTokens?: number;
}

const cases: readonly Case[] = [
  { q: [1, 1, 1, 1], k: [1, 1, 1, 1], queryOffsets: [0, 1], keyStarts: [0], keyLengths: [1] },
  // Two heads share each key head; no mask.
  {
    q: [2, 5, 4, 8],
    k: [2, 5, 2, 8],
    queryOffsets: [0, 5, 10],
    keyStarts: [0, 5],
    keyLengths: [5, 5],
  },
  // More keys than a tile, a head of odd size.
  {
    q: [1, 70, 2, 33],
    k: [1, 70, 1, 33],
    queryOffsets: [0, 70],
    keyStarts: [0],
    keyLengths: [70],
    causal: true,
  },
  // More rows than a block; windows.
  {
    q: [130, 4, 8],
    k: [130, 1, 8],
    queryOffsets: [0, 130],
    keyStarts: [0],
    keyLengths: [130],
    causal: true,
    window: 7,
  },
  {
    q: [20, 2, 16],
    k: [20, 2, 16],
    queryOffsets: [0, 20],
    keyStarts: [0],
    keyLengths: [20],
    window: 3,
  },
  // More keys than queries, and fewer, so that the first queries see nothing.
  {
    q: [2, 3, 2, 16],
    k: [2, 80, 2, 16],
    queryOffsets: [0, 3, 6],
    keyStarts: [0, 80],
    keyLengths: [80, 80],
    causal: true,
  },
  {
    q: [4, 1, 8],
    k: [2, 1, 8],
    queryOffsets: [0, 4],
    keyStarts: [0],
    keyLengths: [2],
    causal: true,
  },
  // Packed sequences, one of them empty; caches with room between them.
  {
    q: [9, 2, 8],
    k: [9, 2, 8],
    queryOffsets: [0, 4, 4, 9],
    keyStarts: [0, 4, 4],
    keyLengths: [4, 0, 5],
    causal: true,
  },
  {
    q: [3, 2, 8],
    k: [12, 1, 8],
    queryOffsets: [0, 1, 3],
    keyStarts: [1, 8],
    keyLengths: [5, 3],
    causal: true,
  },
  // One query of each sequence, as generation asks for it: more heads than share a load, more keys than a tile.
  {
    q: [3, 7, 70],
    k: [190, 1, 70],
    queryOffsets: [0, 1, 2, 3],
    keyStarts: [0, 100, 105],
    keyLengths: [100, 5, 64],
    causal: true,
    window: 90,
  },
  // Nothing to attend to, nothing to attend with.
  { q: [2, 1, 4], k: [0, 1, 4], queryOffsets: [0, 2], keyStarts: [0], keyLengths: [0] },
  { q: [0, 2, 4], k: [0, 1, 4], queryOffsets: [0], keyStarts: [], keyLengths: [] },
];

/** 0 to `count` − 1 in an order of their own for each `step` that shares no factor with `count`. */
function mixed(count: number, step: number): number[] {
  return Array.from({ length: count }, (_, i) => (step * i + step) % count);
}

/** Keys in blocks, in any order, shared, and fewer than there is room for. */
const blockCases: readonly Case[] = [
  {
    q: [4, 4, 8],
    k: [96, 2, 8],
    queryOffsets: [0, 1, 3, 4],
    keyStarts: [5, 0, 2, 5, 3, 1, 4, 0, 0],
    keyLengths: [40, 33, 16],
    causal: true,
    blockTokens: 16,
  },
  {
    q: [2, 5, 33],
    k: [96, 1, 33],
    queryOffsets: [0, 1, 2],
    keyStarts: [4, 3, 1, 2, 5, 0],
    keyLengths: [20, 37],
    causal: true,
    blockTokens: 16,
  },
  {
    q: [90, 2, 33],
    k: [160, 1, 33],
    queryOffsets: [0, 80, 90],
    keyStarts: [3, 0, 4, 1, 2, 0],
    keyLengths: [95, 10],
    causal: true,
    window: 50,
    blockTokens: 32,
  },
  // So many keys that a GPU shares those of sequences with few queries out, but not those of the second one.
  {
    q: [21, 4, 16],
    k: [608, 2, 16],
    queryOffsets: [0, 1, 20, 21],
    keyStarts: [...mixed(19, 7), ...mixed(19, 5), ...mixed(19, 4)],
    keyLengths: [601, 300, 270],
    causal: true,
    blockTokens: 32,
  },
  {
    q: [2, 3, 36],
    k: [640, 1, 36],
    queryOffsets: [0, 1, 2],
    keyStarts: [...mixed(40, 11), ...mixed(40, 7)],
    keyLengths: [640, 257],
    causal: true,
    window: 290,
    blockTokens: 16,
  },
];

const paramsOf = ({ q, causal = false, window = 0, blockTokens = 0 }: Case): AttentionParams => ({
  causal,
  window,
  scale: 1 / Math.sqrt(q.at(-1)!),
  ...(blockTokens > 0 ? { blockTokens } : {}),
});

/** Samples of the forward op. */
export function forwardSamples(): Sample<AttentionParams, AttentionInputs>[] {
  return samplesOf(cases);
}

/** Samples of the forward op whose keys lie in blocks; they have no gradient. */
export function blockSamples(): Sample<AttentionParams, AttentionInputs>[] {
  return samplesOf(blockCases);
}

function samplesOf(given: readonly Case[]): Sample<AttentionParams, AttentionInputs>[] {
  return given.map((given) => {
    const integers = [given.queryOffsets, given.keyStarts, given.keyLengths];
    const [offsets, starts, lengths] = integers.map(({ length }) => [length]);
    const blocks = [lengths[0], starts[0] / lengths[0]];
    return {
      shapes: [given.q, given.k, given.k, offsets, given.blockTokens ? blocks : starts, lengths],
      params: paramsOf(given),
      dtypes: [null, null, null, "i32", "i32", "i32"],
      draw: (input, uniform, index) => input < 3 ? 4 * uniform - 2 : integers[input - 3][index],
    };
  });
}

/** Samples of the backward op; the log-sum-exp is above all scores, so that no weight is huge. */
export function backwardSamples(): Sample<AttentionParams, AttentionBackwardInputs>[] {
  return forwardSamples().map(({ shapes: [q, k, v, ...sequences], params, draw }) => ({
    shapes: [q, k, v, q, q.slice(0, -1), q, ...sequences],
    params,
    dtypes: [null, null, null, null, "f32", null, "i32", "i32", "i32"],
    draw: (input, uniform, index) => {
      if (input === 4) return 4 + 4 * uniform;
      return draw!(input < 6 ? 0 : input - 3, uniform, index);
    },
  }));
}
