import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openRows, streamRows } from "../../../train/data/mod.ts";
import { readAll, take, withFiles } from "./support.ts";

const folder = fileURLToPath(new URL("../../golden/parquet/", import.meta.url));

for (const compression of ["none", "snappy", "gzip", "brotli", "zstd"]) {
  Deno.test(`Parquet by ${compression} gives the rows that pyarrow wrote`, async () => {
    const told: string[] = [];
    const path = join(folder, `${compression}.parquet`);
    using rows = await openRows([path], { tell: (line) => told.push(line) });
    assert.deepEqual(told, [`${path}: Parquet, 7 rows, messages`]);
    assert.deepEqual(rows.blocks, [3, 3, 1]);
    assert.equal(rows.where(3), `${path}, row 4`);
    assert.deepEqual(
      await readAll(rows),
      Array.from({ length: 7 }, (_, i) => ({
        messages: [
          { role: "user", content: `What is ${i} + ${i}?` },
          { role: "assistant", content: `${2 * i} – é` },
        ],
        level: i,
        answer: String(2 * i),
      })),
    );
  });
}

Deno.test("shuffled rows of a row group stay together, so that one is in memory at a time", async () => {
  using rows = await openRows([join(folder, "snappy.parquet")]);
  for (let seed = 0; seed < 5; seed++) {
    const levels = (await take(streamRows(rows, { seed, epochs: 1 }))).map(({ level }) =>
      Number(level)
    );
    assert.deepEqual(levels.toSorted(), [0, 1, 2, 3, 4, 5, 6]);
    const groups = levels.map((level) => Math.floor(level / 3));
    const changes = groups.filter((group, i) => i > 0 && group !== groups[i - 1]).length;
    assert.equal(changes, 2, levels.join(" "));
  }
});

Deno.test("a cut Parquet file is refused by its name", async () => {
  const whole = await Deno.readFile(join(folder, "snappy.parquet"));
  await withFiles({ "cut.parquet": whole.subarray(0, 900) }, async (temporary) => {
    await assert.rejects(openRows([join(temporary, "cut.parquet")]), {
      name: "DataError",
      message: /cut\.parquet: it cannot be read as Parquet, .*\. Copy the file again, whole/,
    });
  });
});
