import assert from "node:assert/strict";
import {
  type ChatRow,
  filterRows,
  openRows,
  type Row,
  rowsOf,
  streamRows,
  withoutDuplicates,
  withoutOverlap,
} from "../../../train/data/mod.ts";
import { sharedPath, sharedTest } from "../../text/shared.ts";
import { readAll, take, withFiles } from "./support.ts";

const chat = (question: string, answer: string): Row => ({
  messages: [{ role: "user", content: question }, { role: "assistant", content: answer }],
  answer,
});

Deno.test("rows are kept by a predicate, which may take its time", async () => {
  const rows = rowsOf([chat("1+1", "2"), chat("1+1", "3"), chat("2+2", "4")], "sums");
  const right = filterRows(rows, (row) => Promise.resolve(row.answer !== "3"));
  assert.deepEqual(await take(streamRows(right, { shuffle: false, epochs: 1 })), [
    chat("1+1", "2"),
    chat("2+2", "4"),
  ]);
});

Deno.test("of equal rows the first stays, whatever their other fields say", async () => {
  const rows: Row[] = [
    { text: "a", id: 1 },
    { text: "b" },
    { text: "a", id: 2 },
    { prompt: "a", completion: "" },
    chat("1+1", "2"),
    { ...chat("1+1", "2"), id: 3 },
    { ...chat("1+1", "2"), tools: [{}] },
  ];
  const told: string[] = [];
  const distinct = await withoutDuplicates(rowsOf(rows, "rows"), (line) => told.push(line));
  assert.deepEqual(await readAll(distinct), [rows[0], rows[1], rows[3], rows[4], rows[6]]);
  assert.deepEqual(told, ["rows: 2 duplicates left out of 7 rows"]);
});

Deno.test("bad rows are no duplicates: they are told of when they are read", async () => {
  await withFiles({ "rows.jsonl": '{"text": "a"}\n{\n{\n{"text": "a"}' }, async (folder) => {
    using rows = await openRows([folder]);
    const distinct = await withoutDuplicates(rows);
    const stream = streamRows(distinct, { epochs: 1, onBadRow: "skip" });
    assert.deepEqual([await take(stream), stream.skipped], [[{ text: "a" }], 2]);
  });
});

Deno.test("rows that share a run of words with a held-out text are left out", async () => {
  const heldOut = ["How many legs have three cats and a bird?", "Two and two?"];
  const rows: Row[] = [
    { text: "HOW MANY LEGS, have three CATS!" },
    { text: "How many legs have two cats and a bird?" },
    { text: "two and two" },
    { text: "It is two and two, he said." },
    chat("Tell me: how many legs have three cats?", "12"),
    { prompt: "a", completion: "b" },
  ];
  const kept = await readAll(withoutOverlap(rowsOf(rows, "rows"), heldOut, { words: 6 }));
  assert.deepEqual(kept, [rows[1], rows[3], rows[5]]);
});

const splits = ["math/gsm8k/train.jsonl", "math/gsm8k/test.jsonl"];

sharedTest(
  "GSM8K's splits share no question, and the test split shares all with itself",
  splits,
  async () => {
    using train = await openRows([sharedPath(splits[0])], { switches: "off" });
    using test = await openRows([sharedPath(splits[1])], { switches: "off" });
    const questions = (await readAll(test)).map((row) =>
      String((row as ChatRow).messages[1].content)
    );
    assert.equal((await readAll(withoutOverlap(test, questions))).length, 0);
    const kept = (await readAll(withoutOverlap(train, questions))).length;
    assert.ok(kept > 0.98 * train.count, `${kept}`);
  },
);
