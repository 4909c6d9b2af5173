/**
 * Reads a file of rows in random order into batches, and writes how far memory grew beyond what was there before, in MB.
 * Run by a test, in a process of its own.
 *
 * @module
 */
import { openRows, packedBatches, streamRows, tokenizeRows } from "../../../train/data/mod.ts";
import { smallTokenizer } from "./support.ts";

const tokenizer = smallTokenizer();
const before = Deno.memoryUsage().rss;
let peak = before;
const look = (): void => {
  peak = Math.max(peak, Deno.memoryUsage().rss);
};

using rows = await openRows([Deno.args[0]]);
look();
const tokens = tokenizeRows(rows, { tokenizer, context: 512 });
const batches = packedBatches({ source: streamRows(tokens), context: 512, tokensPerBatch: 8192 });
for (let step = 0; step < 100; step++) {
  await batches.next();
  look();
}
console.log(JSON.stringify({ rows: rows.count, grown: (peak - before) / 1e6 }));
