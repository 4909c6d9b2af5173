import assert from "node:assert/strict";
import { ChatTemplate } from "../../../text/mod.ts";
import { describeRows, openRows, renderMask, type Row, rowsOf } from "../../../train/data/mod.ts";
import { sharedPath, sharedTest, sharedText } from "../../text/shared.ts";
import { smallTokenizer, withFiles } from "./support.ts";

const tokenizer = smallTokenizer();
const messages = [{ role: "user", content: "two?" }, { role: "assistant", content: "a\nb" }];

Deno.test("the trained text stands in brackets", async () => {
  const lines = await describeRows(rowsOf<Row>([{ messages }], "rows"), { tokenizer, context: 64 });
  assert.deepEqual(lines, [
    "rows, row 1",
    lines[1],
    "<s><|user|>",
    "two?</s>",
    "<|assistant|>",
    "[a",
    "b</s>]",
    "",
  ]);
  assert.match(lines[1], /^\d+ tokens, 4 trained$/);
});

Deno.test("on a terminal the trained text is green, line by line", async () => {
  const options = { tokenizer, context: 8, color: true };
  const lines = await describeRows(rowsOf<Row>([{ messages }], "rows"), options);
  assert.match(lines[1], /, longer than the context of 8$/);
  assert.deepEqual(lines.slice(5, 7), ["\x1b[32ma\x1b[39m", "\x1b[32mb</s>\x1b[39m"]);
});

Deno.test("characters of several tokens are whole, control characters harmless", () => {
  const ids = Int32Array.from(tokenizer.encode("é\x1b[2J"));
  const trained = new Uint8Array(ids.length);
  trained[1] = 1; // the second byte of é
  assert.equal(renderMask({ ids, trained }, tokenizer), "[é]\\x1b[2J");
});

Deno.test("rows are chosen by number, and a bad one shows its error", async () => {
  const files = { "rows.jsonl": '{"text": "one"}\n{"text": 2}\n{"text": ""}\n{"text": "four"}' };
  await withFiles(files, async (folder) => {
    using rows = await openRows([folder]);
    const lines = await describeRows(rows, { tokenizer, context: 64, from: 1, rows: 9 });
    assert.deepEqual(lines.map((line) => line.replace(folder, "")), [
      "/rows.jsonl, line 2",
      '/rows.jsonl, line 2: "text" is a number. Make it a text.',
      "",
      "/rows.jsonl, line 3",
      "no token of 0 is to be learned. Give the row a text to learn.",
      "",
      "/rows.jsonl, line 4",
      lines[7],
      "<s>[four</s>]",
    ]);
  });
});

const shared = [
  "math/gsm8k/test.jsonl",
  "serving/nemotron-templates/llama-nemotron-super-v1_5.jinja",
];

sharedTest("a question of GSM8K shows its thinking as trained", shared, async () => {
  using rows = await openRows([sharedPath(shared[0])]);
  const template = new ChatTemplate(sharedText(shared[1]));
  const lines = await describeRows(rows, { tokenizer, template, context: 4096, rows: 1 });
  const text = lines.join("\n");
  assert.match(text, /detailed thinking on[\s\S]*\[<think>\nJanet sells[\s\S]*<\/think>\n\n18/);
  assert.match(text, /detailed thinking off[\s\S]*\[18/);
  assert.equal(text.split("<think>").length, 2);
});
