import assert from "node:assert/strict";
import { followsThinkingFormat, splitReasoning, thinkingSwitch } from "../../../text/mod.ts";
import { type ChatRow, gsm8kSolution, openRows } from "../../../train/data/mod.ts";
import { sharedPath, sharedTest } from "../../text/shared.ts";
import { readAll, rowsOfFile } from "./support.ts";

const row = { question: "2 pens at $600?", answer: "2*600 = $<<2*600=1200>>1200\n#### 1,200" };

Deno.test("a question becomes a row with thinking and one without", async () => {
  assert.deepEqual(await rowsOfFile("rows.jsonl", JSON.stringify(row)), [
    {
      answer: "1200",
      messages: [
        { role: "system", content: "detailed thinking on" },
        { role: "user", content: "2 pens at $600?" },
        { role: "assistant", content: "<think>\n2*600 = $1200\n</think>\n\n1200" },
      ],
    },
    {
      answer: "1200",
      messages: [
        { role: "system", content: "detailed thinking off" },
        { role: "user", content: "2 pens at $600?" },
        { role: "assistant", content: "1200" },
      ],
    },
  ]);
});

Deno.test("one setting of the switch can be chosen", async () => {
  for (const switches of ["on", "off"] as const) {
    const rows = await rowsOfFile("rows.jsonl", JSON.stringify(row), { switches });
    assert.deepEqual(rows.map(({ messages }) => thinkingSwitch(messages as ChatRow["messages"])), [
      switches === "on",
    ]);
  }
});

Deno.test("an answer is what stands after the marks at the end", () => {
  assert.deepEqual(gsm8kSolution("steps\n#### -3.5 "), { trace: "steps", answer: "-3.5" });
  assert.deepEqual(gsm8kSolution("#### 7"), { trace: "", answer: "7" });
  assert.equal(gsm8kSolution("steps, 7"), null);
  assert.equal(gsm8kSolution("#### "), null);
});

for (const [split, count] of [["train", 7473], ["test", 1319]] as const) {
  const path = `math/gsm8k/${split}.jsonl`;
  sharedTest(
    `all questions of GSM8K's ${split} split have steps and a number`,
    [path],
    async () => {
      using rows = await openRows([sharedPath(path)]);
      assert.equal(rows.count, count);
      const all = await readAll(rows) as ChatRow[];
      assert.equal(all.length, 2 * count);
      for (const { messages, answer } of all) {
        const on = thinkingSwitch(messages)!, reply = String(messages[2].content);
        assert.ok(followsThinkingFormat(reply, on), reply);
        const { reasoning, content } = splitReasoning(reply);
        assert.equal(content, answer);
        assert.match(content, /^-?\d+(\.\d+)?$/);
        assert.equal(reasoning !== "", on);
        assert.ok(!reasoning.includes("<<"));
      }
    },
  );
}
