import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import {
  type Cursor,
  mixStreams,
  openRows,
  type PackedBatches,
  packedBatches,
  streamRows,
  tokenizeRows,
  type TokenSequence,
} from "../../../train/data/mod.ts";
import type { Json } from "../../../train/stage.ts";
import { gzip, smallTokenizer, take, withFiles } from "./support.ts";

const parquet = fileURLToPath(new URL("../../golden/parquet/snappy.parquet", import.meta.url));
const tokenizer = smallTokenizer();

const lines = Array.from(
  { length: 40 },
  (_, i) =>
    i % 7 === 3 ? "{broken" : JSON.stringify({ text: `${i} and two is four. `.repeat(1 + i % 9) }),
);
const question = { question: "two and two?", answer: "2+2 = <<2+2=4>>4\n#### 4" };

/** Batches of a mixture of files, opened anew; `body` gets them at a place. */
async function withBatches<T>(
  folder: string,
  place: Json | null,
  microBatches: number,
  body: (batches: PackedBatches) => Promise<T>,
): Promise<T> {
  using opened = new DisposableStack();
  const parts: { source: Cursor<TokenSequence>; weight: number }[] = [];
  for (const [i, name] of ["text", "sums.json.gz", parquet].entries()) {
    const rows = opened.use(await openRows([name === parquet ? name : join(folder, name)]));
    const tokens = tokenizeRows(rows, { tokenizer, context: 128, tooLong: "truncate" });
    parts.push({ source: streamRows(tokens, { seed: i, onBadRow: "skip" }), weight: 3 - i });
  }
  const source = mixStreams(parts, { seed: 9, size: ({ ids }) => ids.length });
  const batches = packedBatches({
    ...{ source, microBatches, context: 128, tokensPerBatch: 400, seed: 4, windowRows: 5 },
  });
  if (place !== null) batches.restore(place);
  return await body(batches);
}

Deno.test("a run on a mixture of files goes on exactly where it stopped", async () => {
  const files = {
    "text/a.jsonl": lines.slice(0, 25).join("\n"),
    "text/b.jsonl": lines.slice(25).join("\n"),
    "sums.json.gz": await gzip(JSON.stringify([question, question, question])),
  };
  await withFiles(files, async (folder) => {
    const all = await withBatches(folder, null, 2, (batches) => take(batches, 40));
    const again = await withBatches(folder, null, 2, (batches) => take(batches, 40));
    assert.deepEqual(again, all);
    await fc.assert(
      fc.asyncProperty(fc.nat(32), async (behind) => {
        const place = await withBatches(folder, null, 2, async (batches) => {
          await take(batches, behind);
          return JSON.stringify(batches.state());
        });
        const rest = await withBatches(folder, JSON.parse(place), 2, (batches) => take(batches, 6));
        assert.deepEqual(rest, all.slice(behind, behind + 6));
      }),
      { numRuns: 12 },
    );
    // The same steps in other parts: what is in a step does not change.
    const whole = await withBatches(folder, null, 1, (batches) => take(batches, 40));
    const joined = all.map((parts) => parts.flatMap(({ ids }) => [...ids]));
    assert.deepEqual(whole.map(([{ ids }]) => [...ids]), joined);
  });
});
