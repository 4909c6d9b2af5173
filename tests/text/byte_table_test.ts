import assert from "node:assert/strict";
import { ByteTable } from "../../text/byte_table.ts";

Deno.test("a table of bytes gives back what was set, in any order, also after it grew", () => {
  const table = new ByteTable(3000), bytesOf = (i: number) => new Uint8Array(i % 7).fill(i);
  const order = Array.from({ length: 3000 }, (_, i) => (i * 1009) % 3000);
  for (const i of order) {
    assert.equal(table.get(i), undefined);
    table.set(i, bytesOf(i));
    assert.deepEqual(table.get(i), bytesOf(i));
  }
  for (const i of order) assert.deepEqual(table.get(i), bytesOf(i));
});

Deno.test("a table of bytes knows nothing beyond its numbers", () => {
  const table = new ByteTable(2);
  for (const number of [-1, 2, 0.5, NaN]) assert.equal(table.get(number), undefined);
});
