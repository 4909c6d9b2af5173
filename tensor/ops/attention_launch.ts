/**
 * How attention is launched on a GPU: on the tensor cores where elements are bf16 and heads fit, else as plain numbers.
 *
 * @module
 */
import { sizeOf } from "../layout.ts";
import type { BatchAttention, CudaKernel, Launch, View } from "../op.ts";
import type { AttentionParams } from "./attention.ts";
import { blockThreads, overElements, warpForEach } from "./launch.ts";

// As ops/attention_tiles.cuh has them.
const tile = 64, tileThreads = 128;
const warps = blockThreads / 32;

/** Width of the heads in the tiles of the tensor cores; null where they are not used. */
function tileWidth({ dtype, shape }: View): 64 | 128 | null {
  const headDim = shape.at(-1)!;
  if (dtype !== "bf16" || headDim > 128) return null;
  return headDim > 64 ? 128 : 64;
}

/** Bytes of shared memory for `count` tiles. */
const tileBytes = (width: number, count: number): number => count * tile * (width + 8) * 2;

/** Blocks of rows or keys of all sequences: as ops/attention.cuh numbers them. */
const blocksOf = (count: number, size: number, sequences: number): number =>
  Math.floor(count / size) + sequences;

/** Launches of one kernel for blocks of rows, or of keys, of each sequence and key head. */
function overBlocks(
  entry: string,
  q: View,
  count: number,
  sequences: number,
  kvHeads: number,
  { tiles, rows }: { readonly tiles: number; readonly rows: number },
): Launch {
  const width = tileWidth(q);
  if (width === null) {
    return {
      entry,
      blocks: [blocksOf(count, warps, sequences), kvHeads, 1],
      threads: blockThreads,
      shared: 4 * warps * rows * q.shape.at(-1)!,
    };
  }
  return {
    entry: `${entry}_${width}`,
    blocks: [blocksOf(count, tile, sequences), kvHeads, 1],
    threads: tileThreads,
    shared: tileBytes(width, tiles),
  };
}

const rowsOf = (q: View, kvHeads: number): number => sizeOf(q.shape.slice(0, -1)) / kvHeads;

// As ops/attention.cuh has them: keys of sequences with so few rows are cut into parts of so many.
const splitRows = 16, splitKeys = 256;

/** Parts of the longest sequence that a table of blocks, [sequences, blocks], has room for; 1 for keys in runs. */
const partsOf = (table: View, blockTokens = 0): number =>
  blockTokens === 0 ? 1 : Math.max(1, Math.ceil(table.shape[1] * blockTokens / splitKeys));

/** Attention of whole batches that sees all keys, or all before the query. */
function batchAttention(
  [q, k, v, out, lse]: readonly View[],
  backward: BatchAttention["backward"],
  { causal, scale, window, whole }: AttentionParams,
): BatchAttention | null {
  return whole && window === 0 ? { q, k, v, out, lse, backward, causal, scale } : null;
}

/** Attention forward; when keys are cut, their parts are then put together. */
export const forwardOnCuda: CudaKernel<AttentionParams> = {
  source: new URL("./attention.cu", import.meta.url),
  launches: ([q, k, , queryOffsets, keyStarts], _, { blockTokens }) => {
    const kvHeads = k.shape.at(-2)!, sequences = queryOffsets.shape[0] - 1;
    if (sequences === 0 || kvHeads === 0) return [];
    const parts = partsOf(keyStarts, blockTokens), shape = { tiles: 5, rows: 2 };
    const whole = overBlocks("attention", q, rowsOf(q, kvHeads), sequences, kvHeads, shape);
    if (parts === 1) return [whole];
    const [blocks] = whole.blocks as readonly number[];
    return [
      { ...whole, blocks: [blocks, kvHeads, parts] },
      { entry: "attention_combine", blocks: [sequences, kvHeads, 1], threads: blockThreads },
    ];
  },
  scratch: ([q, k, , queryOffsets, keyStarts], _, { blockTokens }) => {
    const parts = partsOf(keyStarts, blockTokens), sequences = queryOffsets.shape[0] - 1;
    if (parts === 1) return 0;
    const kvHeads = k.shape.at(-2)!, rows = Math.min(rowsOf(q, kvHeads), sequences * splitRows);
    return 4 * rows * kvHeads * parts * (q.shape.at(-1)! + 2);
  },
  attention: ([q, k, v], [out, lse], params) => batchAttention([q, k, v, out, lse], null, params),
};

/** Attention backward: what is cleared, D, then queries and keys. */
export const backwardOnCuda: CudaKernel<AttentionParams> = {
  source: new URL("./attention_backward.cu", import.meta.url),
  launches: ([q, k, , , , , queryOffsets]) => {
    const kvHeads = k.shape.at(-2)!, sequences = queryOffsets.shape[0] - 1;
    const keys = sizeOf(k.shape.slice(0, -2)), elements = sizeOf(q.shape) + sizeOf(k.shape);
    const clear: Launch = { ...overElements(elements), entry: "attention_clear" };
    if (sequences === 0 || kvHeads === 0) return [clear];
    return [
      clear,
      { ...warpForEach(sizeOf(q.shape.slice(0, -1))), entry: "attention_delta" },
      overBlocks("attention_queries", q, rowsOf(q, kvHeads), sequences, kvHeads, {
        tiles: 4,
        rows: 3,
      }),
      overBlocks("attention_keys", q, keys, sequences, kvHeads, { tiles: 4, rows: 4 }),
    ];
  },
  scratch: ([q]) => 4 * sizeOf(q.shape.slice(0, -1)),
  attention: ([q, k, v, out, lse, dout], [dq, dk, dv], params) =>
    batchAttention([q, k, v, out, lse], { dout, dq, dk, dv }, params),
};
