import assert from "node:assert/strict";
import { type Dataset, rowsOf } from "../../../train/data/mod.ts";
import { holdOut } from "../../../train/jobs/held_out.ts";

async function items(rows: Dataset<number>): Promise<number[]> {
  const read = Array.from({ length: rows.count }, (_, i) => rows.read(i));
  return (await Promise.all(read)).flat();
}

Deno.test("every row is trained on or held out, the same ones each time", async () => {
  const rows = rowsOf(Array.from({ length: 100 }, (_, i) => i), "numbers");
  const { train, heldOut } = holdOut(rows, 20, 1), again = holdOut(rows, 20, 1);
  const held = await items(heldOut);
  assert.equal(held.length, 20);
  assert.deepEqual([...await items(train), ...held].toSorted((a, b) => a - b), await items(rows));
  assert.deepEqual(await items(again.heldOut), held);
  assert.notDeepEqual(await items(holdOut(rows, 20, 2).heldOut), held);
  assert.equal(heldOut.where(0), `numbers, row ${held[0] + 1}`);
});

Deno.test("of rows in blocks the last ones are held out, and the blocks stay", async () => {
  const rows = { ...rowsOf([0, 1, 2, 3, 4, 5, 6], "blocks"), blocks: [3, 3, 1] };
  const { train, heldOut } = holdOut(rows, 2, 0);
  assert.deepEqual([train.blocks, await items(train)], [[3, 2], [0, 1, 2, 3, 4]]);
  assert.deepEqual([heldOut.blocks, await items(heldOut)], [null, [5, 6]]);
});

Deno.test("something is left to train on, and nothing need be held out", async () => {
  const rows = rowsOf([7, 8], "two");
  assert.equal(holdOut(rows, 9, 0).train.count, 1);
  assert.deepEqual(await items(holdOut(rows, 0, 0).train), [7, 8]);
});
