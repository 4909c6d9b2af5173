/**
 * Tensors for the work of one step.
 *
 * @module
 */
import { Tensor } from "../tensor/mod.ts";
import type { PackedTokens } from "./model.ts";
import type { Work } from "./scheduler.ts";

/**
 * The pending tokens of all sequences, packed one sequence after the other. Wanted are the last tokens of those that have
 * nothing more pending, in order. One upload: all integers are parts of one tensor.
 */
export function packTokens(work: readonly Work[], blockTokens: number): PackedTokens {
  const tokens = work.reduce((sum, { count }) => sum + count, 0);
  const finished = work.filter(({ sequence, count }) => count === sequence.pending).length;
  const blocks = Math.max(1, ...work.map(({ sequence }) => sequence.blocks.length));
  const sizes = [
    tokens,
    tokens,
    tokens,
    finished,
    work.length + 1,
    work.length,
    work.length * blocks,
  ];
  const packed = new Int32Array(sizes.reduce((sum, size) => sum + size, 0));
  let start = 0;
  const [ids, positions, places, wanted, queryOffsets, keyLengths, keyStarts] = sizes.map((size) =>
    packed.subarray(start, start += size)
  );
  let token = 0, row = 0;
  work.forEach(({ sequence, count }, s) => {
    const end = sequence.computed + count;
    for (let position = sequence.computed; position < end; position++, token++) {
      const block = sequence.blocks[Math.floor(position / blockTokens)];
      ids[token] = sequence.tokens[position];
      positions[token] = position;
      places[token] = block * blockTokens + position % blockTokens;
    }
    if (count === sequence.pending) wanted[row++] = token - 1;
    queryOffsets[s + 1] = token;
    keyLengths[s] = end;
    keyStarts.set(sequence.blocks, s * blocks);
  });
  const all = Tensor.from(packed, [packed.length], { dtype: "i32" });
  const [a, b, c, d, e, f, g] = all.split(sizes);
  return {
    ids: a,
    positions: b,
    places: c,
    wanted: d,
    sequences: {
      queryOffsets: e,
      keyLengths: f,
      keyStarts: g.reshape([work.length, blocks]),
      blockTokens,
    },
  };
}
