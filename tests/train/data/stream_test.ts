import assert from "node:assert/strict";
import fc from "fast-check";
import {
  concatRows,
  type Dataset,
  mapRows,
  RowError,
  rowsOf,
  streamRows,
} from "../../../train/data/mod.ts";
import { take } from "./support.ts";

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Numbers in blocks of the given sizes. */
function blocksOf(sizes: readonly number[]): Dataset<number> {
  const count = sizes.reduce((sum, size) => sum + size, 0);
  return { ...rowsOf(numbers(count), "blocks"), blocks: sizes };
}

Deno.test("an epoch gives every row once, each epoch in another order, each seed too", async () => {
  const rows = rowsOf(numbers(50), "numbers");
  const epochs = await take(streamRows(rows, { seed: 3, epochs: 2 }));
  const [first, second] = [epochs.slice(0, 50), epochs.slice(50)];
  assert.deepEqual(first.toSorted((a, b) => a - b), numbers(50));
  assert.deepEqual(second.toSorted((a, b) => a - b), numbers(50));
  assert.notDeepEqual(first, second);
  assert.deepEqual(await take(streamRows(rows, { seed: 3, epochs: 2 })), epochs);
  assert.notDeepEqual(await take(streamRows(rows, { seed: 4, epochs: 1 })), first);
  assert.deepEqual(await take(streamRows(rows, { shuffle: false, epochs: 1 })), numbers(50));
});

Deno.test("every row comes first equally often", async () => {
  const rows = rowsOf(numbers(5), "numbers"), counts = new Array<number>(5).fill(0);
  for (let seed = 0; seed < 1000; seed++) counts[(await streamRows(rows, { seed }).next())!]++;
  const chiSquare = counts.reduce((sum, count) => sum + (count - 200) ** 2 / 200, 0);
  assert.ok(chiSquare < 18.5, `${chiSquare} for ${counts}`); // 4 degrees of freedom, p = 0.001
});

Deno.test("rows of a block stay together, and every row comes once", async () => {
  const stream = streamRows(blocksOf([3, 1, 4]), { seed: 1, epochs: 3 });
  for (let epoch = 0; epoch < 3; epoch++) {
    const rows = await take(stream, 8);
    assert.deepEqual(rows.toSorted((a, b) => a - b), numbers(8));
    const blocks = rows.map((row) => row < 3 ? 0 : row < 4 ? 1 : 2);
    assert.equal(blocks.filter((block, i) => i > 0 && block !== blocks[i - 1]).length, 2);
  }
});

Deno.test("a stream goes on where another stopped, whatever rows give", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(fc.nat(3), { minLength: 1, maxLength: 12 }).filter((sizes) =>
      sizes.some((size) => size > 0)
    ),
    fc.boolean(),
    fc.nat(40),
    async (sizes, shuffle, behind) => {
      // Row i gives sizes[i] items.
      const rows = mapRows(
        rowsOf(sizes, "rows"),
        ([size], i) => numbers(size).map((item) => `${i}/${item}`),
      );
      const whole = streamRows(rows, { seed: 5, shuffle }),
        begun = streamRows(rows, { seed: 5, shuffle });
      const all = await take(whole, behind + 20);
      await take(begun, behind);
      const resumed = streamRows(rows, { seed: 5, shuffle });
      resumed.restore(JSON.parse(JSON.stringify(begun.state())));
      assert.deepEqual(await take(resumed, 20), all.slice(behind));
    },
  ));
});

Deno.test("a dataset that has changed since is refused", () => {
  const state = streamRows(rowsOf([1, 2], "two")).state();
  assert.throws(() => streamRows(rowsOf([1, 2, 3], "three")).restore(state), {
    name: "DataError",
    message: "three: the data is not what the checkpoint was made with, 3 rows (2 then). " +
      "Give the same files, or begin a new run.",
  });
  assert.throws(() => streamRows(rowsOf([1], "one")).restore({ epoch: 1 }), {
    name: "DataError",
    message: 'streamRows: the state has no "rows" ({"epoch":1}). ' +
      "Resume with the sources and options that the checkpoint was made with.",
  });
});

Deno.test("data of which no row can be used ends the stream instead of going round for ever", async () => {
  const none = mapRows(rowsOf([1, 2], "two"), () => []);
  await assert.rejects(streamRows(none).next(), {
    name: "DataError",
    message: "two: no row can be used (2 read). " +
      "Look at why rows are skipped; filters and the context length count too.",
  });
  assert.throws(() => streamRows(rowsOf([], "none")), /none: there are no rows \(0\)/);
});

Deno.test("bad rows are told of once, not in every epoch", async () => {
  const rows = mapRows(rowsOf(numbers(3), "three"), (items) => {
    if (items[0] === 1) throw new RowError("one is bad");
    return items;
  });
  const warnings: string[] = [];
  const stream = streamRows(rows, {
    onBadRow: "skip",
    epochs: 3,
    warn: (line) => warnings.push(line),
  });
  assert.equal((await take(stream)).length, 6);
  assert.deepEqual([warnings, stream.skipped], [["one is bad"], 3]);
});

Deno.test("joined datasets have the rows of both, and the blocks of those that have any", async () => {
  const joined = concatRows([rowsOf([1], "a"), rowsOf<number>([], "b"), blocksOf([2, 1])], "all");
  assert.deepEqual([joined.count, joined.blocks], [4, [1, 0, 2, 1]]);
  assert.deepEqual(await take(streamRows(joined, { shuffle: false, epochs: 1 })), [1, 0, 1, 2]);
  assert.deepEqual((await take(streamRows(joined, { epochs: 1 }))).toSorted(), [0, 1, 1, 2]);
  assert.deepEqual([joined.where(0), joined.where(1)], ["a, row 1", "blocks, row 1"]);
});
