import assert from "node:assert/strict";
import {
  choiceReward,
  exactReward,
  extractChoice,
  formatReward,
  linearLengthPenalty,
  mathReward,
  preferenceSum,
  type Reward,
  type RewardCompletion,
  type RewardRow,
  shortAnswers,
  verifiedProduct,
} from "../../../train/rewards/mod.ts";

const ended: RewardCompletion = { text: "", ended: true, tokens: 10, maxTokens: 100 };
const score = (reward: Reward, text: string, row: RewardRow): unknown =>
  reward({ ...ended, text }, row);

Deno.test("the mathematical reward compares final answers, and needs one in the row", () => {
  assert.equal(score(mathReward(), "So it is \\boxed{0.5}.", { answer: "1/2" }), 1);
  assert.equal(score(mathReward(), "So it is \\boxed{0.4}.", { answer: "1/2" }), 0);
  assert.throws(() => score(mathReward(), "4", {}), TypeError);
});

Deno.test("the exact reward compares what stands behind the thinking", () => {
  const text = "<think>\nb a\n</think>\n\na b\n";
  assert.equal(score(exactReward, text, { answer: "a b" }), 1);
  assert.equal(score(exactReward, text, { answer: "b a" }), 0);
});

Deno.test("the format reward follows the switch, where there is one and the completion ended", () => {
  const on = { messages: [{ role: "system", content: "detailed thinking on" }] };
  const off = { thinking: false };
  assert.equal(score(formatReward, "<think>x</think> y", on), 1);
  assert.equal(score(formatReward, "<think>x</think> <think>y</think>", on), 0);
  assert.equal(score(formatReward, "y", on), 0);
  assert.equal(score(formatReward, "<think>x</think> y", off), 0);
  assert.equal(score(formatReward, "y", off), 1);
  assert.equal(score(formatReward, "<think>", { messages: [] }), 1);
  assert.equal(formatReward({ ...ended, text: "<think>x", ended: false }, on), 1);
});

Deno.test("the chosen letter is found, and compared with a letter, a place or a text", () => {
  const choices = ["red", "green", "blue"];
  const chosen: readonly (readonly [text: string, letter: string | null])[] = [
    ["The answer is (B).", "B"],
    ["A is wrong, so $\\boxed{\\text{(C)}}$", "C"],
    ["\\boxed{B}", "B"],
    ["I choose B", "B"],
    ["green", "B"],
    ["<think>The answer is A</think>\n\nAnswer: C", "C"],
    ["nothing", null],
  ];
  for (const [text, letter] of chosen) assert.equal(extractChoice(text, choices), letter, text);
  for (const answer of ["B", "(b)", 1, "green"]) {
    assert.equal(score(choiceReward, "Answer: B", { answer, choices }), 1);
    assert.equal(score(choiceReward, "Answer: C", { answer, choices }), 0);
  }
});

Deno.test("correct times format counts for completions that ended, and shapes follow", () => {
  const scores = { correct: 1, format: 1 };
  assert.equal(verifiedProduct()(scores, ended), 1);
  assert.equal(verifiedProduct()({ correct: 1, format: 0 }, ended), 0);
  assert.equal(verifiedProduct()(scores, { ...ended, ended: false }), 0);
  const halfway = { ...ended, tokens: 30, maxTokens: 60 };
  assert.equal(verifiedProduct(shortAnswers)(scores, halfway), 0.5);
  assert.equal(verifiedProduct(linearLengthPenalty())(scores, halfway), 1);
});

Deno.test("the linear penalty begins at three quarters of the length, and is a half at the end", () => {
  const penalty = (tokens: number): number => linearLengthPenalty()(1, { ...ended, tokens });
  assert.deepEqual([0, 75, 87.5, 100].map(penalty), [1, 1, 0.75, 0.5]);
});

Deno.test("a reward model's score falls to -100 without the format", () => {
  assert.equal(preferenceSum({ helpful: 3, format: 1 }, ended), 3);
  assert.equal(preferenceSum({ helpful: 3, format: 0 }, ended), -100);
  assert.equal(Math.abs(preferenceSum({ helpful: 3 }, { ...ended, ended: false })), 0);
});
