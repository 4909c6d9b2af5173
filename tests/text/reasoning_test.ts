import assert from "node:assert/strict";
import fc from "fast-check";
import {
  followsThinkingFormat,
  ReasoningParser,
  setThinking,
  splitReasoning,
  thinkingOff,
  thinkingOn,
  thinkingSwitch,
} from "../../text/mod.ts";
import { sharedTest, sharedText } from "./shared.ts";

/** Feeds pieces; also checks that nothing is returned twice or taken back. */
function parsed(
  pieces: readonly string[],
  inside: boolean,
): { reasoning: string; content: string } {
  const parser = new ReasoningParser({ inside });
  const deltas = [...pieces.map((piece) => parser.push(piece)), parser.flush()];
  return {
    reasoning: deltas.map((delta) => delta.reasoning).join(""),
    content: deltas.map((delta) => delta.content).join(""),
  };
}

const fragments = fc.array(
  fc.constantFrom(
    "<think>",
    "</think>",
    "<thi",
    "nk>",
    "</th",
    "ink>",
    "<",
    ">",
    " ",
    "\n",
    "a",
    "🦙",
  ),
  { maxLength: 12 },
);

Deno.test("any cutting of a completion gives the same thinking and answer", () => {
  const cuts = fc.array(fc.nat(60), { maxLength: 8 });
  fc.assert(
    fc.property(fragments, cuts, fc.boolean(), (parts, cuts, inside) => {
      const text = parts.join("");
      const places = [
        0,
        ...cuts.filter((cut) => cut < text.length).sort((a, b) => a - b),
        text.length,
      ];
      const pieces = places.slice(1).map((end, i) => text.slice(places[i], end));
      const whole = splitReasoning(text, { inside });
      assert.deepEqual(parsed(pieces, inside), whole);
      assert.deepEqual(parsed([...text].flatMap((character) => [...character]), inside), whole);
    }),
    { numRuns: 1000 },
  );
});

Deno.test("thinking and answer are split, white space around the tags left out", () => {
  const cases: [string, string, string][] = [
    ["<think>\nfour\n</think>\n\n4", "four", "4"],
    ["\n <think>a b</think>c </think>", "a b", "c </think>"],
    ["no thinking", "", "no thinking"],
    ["  spaces stay", "", "  spaces stay"],
    ["I say <think>x</think>", "", "I say <think>x</think>"],
    ["<think></think>empty", "", "empty"],
    ["<think>cut off </thi", "cut off </thi", ""],
    ["<think>a</think>  ", "a", ""],
    ["<thin", "", "<thin"],
    ["", "", ""],
  ];
  for (const [text, reasoning, content] of cases) {
    assert.deepEqual(splitReasoning(text), { reasoning, content }, text);
  }
});

Deno.test("a prompt that ends with <think> puts the completion inside it", () => {
  const inside = { inside: true };
  assert.deepEqual(splitReasoning("a</think>b", inside), { reasoning: "a", content: "b" });
  assert.deepEqual(splitReasoning("<think>a</think>b", inside), { reasoning: "a", content: "b" });
  assert.deepEqual(splitReasoning("never closed", inside), {
    reasoning: "never closed",
    content: "",
  });
});

Deno.test("text goes out as soon as it is certain", () => {
  const parser = new ReasoningParser();
  assert.deepEqual(parser.push("<think>go"), { reasoning: "go", content: "" });
  assert.deepEqual(parser.push(" on "), { reasoning: " on", content: "" });
  assert.equal(parser.answering, false);
  assert.deepEqual(parser.push("</think>yes"), { reasoning: "", content: "yes" });
  assert.equal(parser.answering, true);
  assert.deepEqual(parser.push(" <think>"), { reasoning: "", content: " <think>" });
});

Deno.test("the format is one block when on, and no tag when off", () => {
  const rows: [string, boolean, boolean][] = [
    ["<think>\na\n</think>\n\nb", true, false],
    ["b", false, true],
    ["<think>a", false, false],
    ["a</think>b", false, false],
    ["</think><think>", false, false],
    ["<think>a</think><think>b</think>", false, false],
  ];
  for (const [text, on, off] of rows) {
    assert.equal(followsThinkingFormat(text, true), on, text);
    assert.equal(followsThinkingFormat(text, false), off, text);
  }
});

Deno.test("the switch is the whole system prompt", () => {
  const user = { role: "user", content: "q" };
  assert.equal(thinkingOn, "detailed thinking on");
  assert.equal(thinkingOff, "detailed thinking off");
  const on = setThinking([user], true);
  assert.deepEqual(on, [{ role: "system", content: thinkingOn }, user]);
  assert.deepEqual(setThinking(on, false), [{ role: "system", content: thinkingOff }, user]);
  assert.deepEqual(setThinking([{ role: "system", content: "Be terse." }, user], true), [
    { role: "system", content: thinkingOn },
    { role: "user", content: "Be terse.\n\nq" },
  ]);
  assert.equal(thinkingSwitch(on), true);
  assert.equal(thinkingSwitch(setThinking(on, false)), false);
  assert.equal(thinkingSwitch([user]), undefined);
});

const recording = "serving/openai-sse/deepseek-reasoning.chunks.txt";

sharedTest("a recorded reasoning stream comes back through the parser", [recording], () => {
  type Chunk = {
    choices: { delta: { reasoning_content?: string | null; content?: string | null } }[];
  };
  const deltas = sharedText(recording).trim().split("\n")
    .flatMap((line) => (JSON.parse(line) as Chunk).choices.map((choice) => choice.delta));
  const reasoning = deltas.map((delta) => delta.reasoning_content ?? "");
  const content = deltas.map((delta) => delta.content ?? "");
  const pieces = ["<think>", ...reasoning, "</think>", ...content];
  assert.deepEqual(parsed(pieces, false), {
    reasoning: reasoning.join("").trim(),
    content: content.join("").trimStart(),
  });
  assert.ok(reasoning.join("").length > 100);
});
