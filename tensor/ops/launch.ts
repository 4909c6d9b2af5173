/**
 * Sizes of launches that ops share.
 *
 * @module
 */
import type { Launch } from "../op.ts";

/** Threads of a block, as ops/kernel.cuh has it. */
export const blockThreads = 256;

/** Blocks beyond which a loop over the grid does the rest: enough to fill any device several times. */
const mostBlocks = 4096;

/** A loop over `n` elements, of which a thread takes `each` at a time. */
export function overElements(n: number, each = 4): Launch {
  const blocks = Math.min(Math.ceil(n / (blockThreads * each)), mostBlocks);
  return { blocks, threads: blockThreads };
}

/** Rows up to this length get a warp each, longer ones a block: as ops/kernel.cuh has it. */
const warpRow = 1024;

/** A warp or a block for each of `rows` rows of `n` numbers: for_each_row of ops/kernel.cuh. */
export function overRows(rows: number, n: number): Launch {
  const blocks = n > warpRow ? rows : Math.ceil(rows / (blockThreads / 32));
  return { blocks, threads: blockThreads };
}

/** Lines of `n` numbers along the middle axis of [outer, n, inner]: along_axis of ops/kernel.cuh. */
export function alongAxis(
  { outer, n, inner }: { readonly outer: number; readonly n: number; readonly inner: number },
): Launch {
  return inner === 1 ? overRows(outer, n) : overElements(outer * inner, 1);
}

/** A block for each of `count` things. */
export function blockForEach(count: number): Launch {
  return { blocks: count, threads: blockThreads };
}

/** A warp for each of `count` things. */
export function warpForEach(count: number): Launch {
  return blockForEach(Math.ceil(count / (blockThreads / 32)));
}

/** Elements that one block adds up when all elements of a tensor are. */
export const partSize = 16384;

/**
 * Sums over the entries that name each of `size` rows of `dim` numbers: buckets.cuh, whose kernels the op's source names
 * `<prefix>_clear` and so on.
 */
export function bucketLaunches(prefix: string, count: number, size: number, dim: number): Launch[] {
  return [
    { ...overElements(size), entry: `${prefix}_clear` },
    { ...overElements(count), entry: `${prefix}_count` },
    { ...blockForEach(1), entry: `${prefix}_begin` },
    { ...overElements(count), entry: `${prefix}_place` },
    { ...blockForEach(size), entry: `${prefix}_order` },
    { blocks: [size, Math.ceil(dim / blockThreads), 1], threads: blockThreads },
  ];
}

/** Bytes of working space for the same. */
export function bucketScratch(count: number, size: number): number {
  return 4 * (2 * size + 1 + 2 * count);
}
