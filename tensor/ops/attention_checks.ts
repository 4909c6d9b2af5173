/**
 * What attention asks of its inputs.
 *
 * @module
 */
import { isFloating } from "../dtype.ts";
import { DTypeError, IndexError, ShapeError } from "../errors.ts";
import { formatShape, sameShape } from "../layout.ts";
import type { TensorSpec } from "../op.ts";

/** Throw ShapeError, DTypeError or RangeError unless queries, keys, values and window fit together. */
export function checkHeads(q: TensorSpec, k: TensorSpec, v: TensorSpec, window: number): void {
  const given = `${formatShape(q.shape)}, ${formatShape(k.shape)} and ${formatShape(v.shape)}`;
  const rank = q.shape.length;
  if ((rank !== 3 && rank !== 4) || k.shape.length !== rank || !sameShape(k.shape, v.shape)) {
    throw new ShapeError(
      `attention: queries, keys and values do not fit, ${given} (${rank} vs ${k.shape.length} axes). ` +
        `Pass [batch, time, heads, headDim] and twice [batch, keys, kvHeads, headDim], or all without the batch.`,
    );
  }
  if (rank === 4 && q.shape[0] !== k.shape[0]) {
    throw new ShapeError(
      `attention: batches differ, ${given} (${q.shape[0]} vs ${k.shape[0]}). Pass equal ones.`,
    );
  }
  const [heads, headDim] = q.shape.slice(-2), [kvHeads, keyDim] = k.shape.slice(-2);
  if (headDim !== keyDim) {
    throw new ShapeError(
      `attention: heads differ in size, ${given} (${headDim} vs ${keyDim}). Pass the same headDim.`,
    );
  }
  if (kvHeads === 0 ? heads > 0 : heads % kvHeads !== 0) {
    throw new ShapeError(
      `attention: query heads do not share the key heads evenly, ${given} (${heads} vs ${kvHeads}). ` +
        `Use a multiple.`,
    );
  }
  if (!isFloating(q.dtype) || k.dtype !== q.dtype || v.dtype !== q.dtype) {
    throw new DTypeError(
      `attention: queries are ${q.dtype}, keys ${k.dtype}, values ${v.dtype}. Pass all as f32 or all as bf16.`,
    );
  }
  if (!Number.isSafeInteger(window) || window < 0) {
    throw new RangeError(
      `attention: the window is no number of positions (${window}). Use a whole number of at least 1, or none.`,
    );
  }
}

/** Throw ShapeError, DTypeError or RangeError unless what says where sequences lie fits together. */
export function checkSequenceTensors(sequences: readonly TensorSpec[], blockTokens: number): void {
  const [queryOffsets, keyStarts, keyLengths] = sequences;
  const count = keyStarts.shape[0];
  const fits = queryOffsets.shape.length === 1 && keyLengths.shape.length === 1 &&
    keyStarts.shape.length === (blockTokens > 0 ? 2 : 1) &&
    queryOffsets.shape[0] === count + 1 && keyLengths.shape[0] === count;
  if (blockTokens !== 0 && !(blockTokens >= 16 && Number.isInteger(Math.log2(blockTokens)))) {
    throw new RangeError(
      `attention: keys cannot lie in blocks of ${blockTokens} tokens. Use a power of two of at least 16.`,
    );
  }
  if (!fits) {
    throw new ShapeError(
      `attention: queryOffsets, keyStarts and keyLengths do not fit, ${
        sequences.map(({ shape }) => formatShape(shape)).join(", ")
      } (${queryOffsets.shape[0]} vs ${count} + 1). Make them with packedSequences().`,
    );
  }
  const odd = sequences.find(({ dtype }) => dtype !== "i32");
  if (odd) {
    throw new DTypeError(
      `attention: sequences are given as ${odd.dtype}. Make them with packedSequences(), which are i32.`,
    );
  }
}

/**
 * What is wrong with the sequences, if anything: query offsets must go from 0 up to the number of tokens, and keys must lie
 * among the tokens; where `disjoint`, each sequence's after those of the one before.
 */
export function checkSequences(
  [queryOffsets, keyStarts, keyLengths]: readonly Int32Array[],
  queryTokens: number,
  keyTokens: number,
  disjoint: boolean,
  blockTokens: number = 0,
): IndexError | null {
  const count = keyLengths.length;
  for (let s = 0; s < count; s++) {
    const error = blockTokens > 0
      ? checkBlocks(s, keyStarts, keyLengths, keyTokens, blockTokens)
      : checkRun(s, keyStarts, keyLengths, keyTokens, disjoint);
    if (error) return error;
    if (queryOffsets[s + 1] < queryOffsets[s]) {
      return new IndexError(
        `attention: query offsets decrease at sequence ${s} (${queryOffsets[s]} vs ${
          queryOffsets[s + 1]
        }). Sort them.`,
      );
    }
  }
  if (queryOffsets[0] === 0 && queryOffsets[count] === queryTokens) return null;
  return new IndexError(
    `attention: query offsets go from ${queryOffsets[0]} to ${
      queryOffsets[count]
    }, the queries from 0 to ${queryTokens} ` +
      `(${queryOffsets[count]} vs ${queryTokens}). Every query belongs to one sequence.`,
  );
}

function checkRun(
  s: number,
  keyStarts: Int32Array,
  keyLengths: Int32Array,
  keyTokens: number,
  disjoint: boolean,
): IndexError | null {
  const from = keyStarts[s], to = from + keyLengths[s];
  if (from < 0 || to < from || to > keyTokens) {
    return new IndexError(
      `attention: the keys of sequence ${s} are not in the tensor, ${from} to ${to} (${to} vs ${keyTokens}). ` +
        `Use starts and lengths of at least 0 that end within it.`,
    );
  }
  const before = disjoint && s > 0 ? keyStarts[s - 1] + keyLengths[s - 1] : 0;
  if (from >= before) return null;
  return new IndexError(
    `attention: sequences ${
      s - 1
    } and ${s} share keys, or are out of order (${before} vs ${from}). ` +
      `Gradients need keys of their own: copy them.`,
  );
}

function checkBlocks(
  s: number,
  keyStarts: Int32Array,
  keyLengths: Int32Array,
  keyTokens: number,
  blockTokens: number,
): IndexError | null {
  const width = keyStarts.length / keyLengths.length, used = Math.ceil(keyLengths[s] / blockTokens);
  if (keyLengths[s] < 0 || used > width) {
    return new IndexError(
      `attention: sequence ${s} has ${
        keyLengths[s]
      } keys, which need ${used} blocks (${used} vs ${width}). ` +
        `Give it more blocks.`,
    );
  }
  const blocks = keyStarts.subarray(s * width, s * width + used);
  const odd = blocks.find((block) => block < 0 || (block + 1) * blockTokens > keyTokens);
  if (odd === undefined) return null;
  return new IndexError(
    `attention: block ${odd} of sequence ${s} is not in the tensor (${odd} vs ${
      Math.floor(keyTokens / blockTokens)
    } blocks). Use blocks that are there.`,
  );
}
