import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Dataset,
  type PackedBatches,
  packedBatches,
  packLengths,
  packRows,
  rowsOf,
  streamRows,
  type TokenSequence,
} from "../../../train/data/mod.ts";
import type { TokenBatch } from "../../../train/stage.ts";
import { take } from "./support.ts";

/** Sequences that read the given numbers of tokens; every id is there once. */
function sequencesOf(lengths: readonly number[]): Dataset<TokenSequence> {
  let id = 0;
  const sequences = lengths.map((length) => ({
    ids: Int32Array.from({ length: length + 1 }, () => id++),
    trained: Uint8Array.from({ length: length + 1 }, (_, i) => i > 0 && (id + i) % 3 > 0 ? 1 : 0),
  }));
  return rowsOf(sequences, "sequences");
}

const lengthLists = fc.array(fc.integer({ min: 1, max: 16 }), { minLength: 1, maxLength: 60 });

/** Every (id, target) pair of batches, targets -1 included. */
function pairsOf(batches: readonly TokenBatch[]): string[] {
  return batches.flatMap(({ ids, targets }) => Array.from(ids, (id, i) => `${id}>${targets[i]}`))
    .sort();
}

Deno.test("packing loses nothing, doubles nothing, and no bin is above its capacity", () => {
  fc.assert(fc.property(lengthLists, (lengths) => {
    const bins = packLengths(lengths, 16);
    assert.deepEqual(bins.flat().sort((a, b) => a - b), lengths.map((_, i) => i));
    const fills = bins.map((bin) => bin.reduce((sum, i) => sum + lengths[i], 0));
    assert.ok(fills.every((fill) => fill <= 16));
    // Two bins that would fit into one are never both opened.
    const [least, next = Infinity] = fills.toSorted((a, b) => a - b);
    assert.ok(least + next > 16);
  }));
});

Deno.test("best fit fills the fullest bin that has room", () => {
  assert.deepEqual(packLengths([5, 7, 3, 5], 10), [[1, 2], [0, 3]]);
  assert.deepEqual(packLengths([], 10), []);
});

Deno.test("batches hold each token of each sequence once, with the token after it as target", async () => {
  await fc.assert(fc.asyncProperty(
    lengthLists,
    fc.integer({ min: 1, max: 5 }),
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 1, max: 6 }),
    async (lengths, rowsPerStep, microBatches, windowRows) => {
      const sequences = sequencesOf(lengths);
      const source = streamRows(sequences, { epochs: 1, seed: 7 });
      const tokensPerBatch = 16 * rowsPerStep + 5;
      const batches = packedBatches({
        source,
        context: 16,
        tokensPerBatch,
        microBatches,
        windowRows,
      });
      const steps = await take(batches);
      for (const parts of steps) {
        assert.ok(parts.length <= microBatches);
        const tokens = parts.reduce((sum, { ids }) => sum + ids.length, 0);
        assert.ok(tokens > 0 && tokens <= tokensPerBatch);
        for (const { ids, targets, lengths } of parts) {
          assert.equal(ids.length, targets.length);
          assert.equal(ids.length, lengths.reduce((sum, length) => sum + length, 0));
        }
      }
      const expected: string[] = [];
      for (let i = 0; i < sequences.count; i++) {
        const [{ ids, trained }] = await sequences.read(i);
        for (let at = 1; at < ids.length; at++) {
          expected.push(`${ids[at - 1]}>${trained[at] === 1 ? ids[at] : -1}`);
        }
      }
      assert.deepEqual(pairsOf(steps.flat()), expected.sort());
    },
  ));
});

Deno.test("what a step trains on does not depend on the number of micro-batches", async () => {
  const lengths = Array.from({ length: 100 }, (_, i) => 1 + i * 7 % 16);
  const stepsWith = async (microBatches: number): Promise<string[][]> => {
    const source = streamRows(sequencesOf(lengths), { seed: 1, epochs: 2 });
    const batches = packedBatches({ source, context: 16, tokensPerBatch: 64, microBatches });
    return (await take(batches)).map(pairsOf);
  };
  const one = await stepsWith(1);
  for (const microBatches of [2, 3, 4, 9]) assert.deepEqual(await stepsWith(microBatches), one);
});

Deno.test("after any number of batches, another source goes on with the same batches", async () => {
  await fc.assert(fc.asyncProperty(
    lengthLists,
    fc.nat(25),
    fc.integer({ min: 1, max: 5 }),
    async (lengths, behind, windowRows) => {
      const make = (): PackedBatches =>
        packedBatches({
          source: streamRows(sequencesOf(lengths), { seed: 2 }),
          ...{ context: 16, tokensPerBatch: 40, microBatches: 2, seed: 3, windowRows },
        });
      const all = await take(make(), behind + 10), begun = make(), resumed = make();
      await take(begun, behind);
      const saved = JSON.stringify(begun.state());
      resumed.restore(JSON.parse(saved));
      assert.equal(JSON.stringify(resumed.state()), saved);
      assert.deepEqual(await take(resumed, 10), all.slice(behind));
      // A source may also be taken back to where it was.
      begun.restore(JSON.parse(saved));
      assert.deepEqual(await take(begun, 10), all.slice(behind));
    },
  ));
});

Deno.test("rows are nearly full, and it is told how full", async () => {
  const lengths = Array.from({ length: 3000 }, (_, i) => 1 + i * 37 % 61);
  const rows = packRows(streamRows(sequencesOf(lengths), { epochs: 1 }), { context: 64 });
  const packed = await take(rows);
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  assert.deepEqual(rows.counts, { rows: packed.length, sequences: 3000, tokens });
  assert.equal(rows.fill, tokens / (64 * packed.length));
  assert.ok(rows.fill > 0.97, `${rows.fill}`);
});

Deno.test("rows do not come in the order of their lengths", async () => {
  const lengths = Array.from({ length: 256 }, (_, i) => 9 + i % 8);
  const rows = await take(
    packRows(streamRows(sequencesOf(lengths), { epochs: 1 }), { context: 16 }),
  );
  const packed = rows.map((row) => row[0].ids.length);
  assert.notDeepEqual(packed, packed.toSorted((a, b) => b - a));
});

Deno.test("a sequence above the context, a context of 0 and a step without room are refused", async () => {
  const source = () => streamRows(sequencesOf([9]));
  await assert.rejects(packRows(source(), { context: 8 }).next(), {
    name: "DataError",
    message:
      "packRows: a sequence is longer than the context, 9 tokens (8). Tokenize with the same context.",
  });
  assert.throws(() => packRows(source(), { context: 0 }), /packRows: no token fits, context 0/);
  assert.throws(() => packedBatches({ source: source(), context: 8, tokensPerBatch: 7 }), {
    name: "DataError",
    message: "packedBatches: a step has no room for a row, 7 tokens (context 8). " +
      "Raise the tokens per batch or lower the context.",
  });
});
