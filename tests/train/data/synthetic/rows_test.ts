import assert from "node:assert/strict";
import {
  compactTemplate,
  pretrainRow,
  rlRow,
  sftRow,
  type Split,
  splitOf,
  storyAt,
  taskAt,
  tasks,
  trainSyntheticTokenizer,
} from "../../../../train/data/synthetic/mod.ts";
import { ChatTemplate, followsThinkingFormat } from "../../../../text/mod.ts";

const splits: readonly Split[] = ["train", "validation", "test"];
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

Deno.test("splits have no problem in common in 24,000 samples", () => {
  // The words vary, so a problem is known by what varies with it: its numbers, letters and items.
  const essence = (question: string): string =>
    question.match(/[[(].*[\])]/)?.[0] + (question.match(/"[^"]*"|\d+/g) ?? []).join();
  const [train, validation, test] = splits.map((split) =>
    new Map(
      range(8000).map((i) => taskAt(i, { split })).map(({ task, question }) => [
        `${task} ${question}`,
        `${task} ${essence(question)}`,
      ]),
    )
  );
  for (const held of [validation, test]) {
    for (const question of held.keys()) assert.ok(!train.has(question), question);
  }
  for (const question of test.keys()) assert.ok(!validation.has(question), question);
  const additions = new Set(train.values().filter((known) => known.startsWith("addition")));
  for (const held of [...validation.values(), ...test.values()]) {
    if (held.startsWith("addition")) assert.ok(!additions.has(held), held);
  }
});

Deno.test("stories of a split carry its hash, so that no story is in two", () => {
  for (const split of splits) {
    for (const i of range(200)) assert.equal(splitOf(storyAt(i, { split })), split);
  }
});

Deno.test("the hash gives eight of ten to training and one each to the others", () => {
  const parts = range(4000).map((i) => splitOf(`content ${i}`));
  const share = (split: Split): number => parts.filter((part) => part === split).length / 4000;
  assert.ok(Math.abs(share("train") - 0.8) < 0.03 && Math.abs(share("validation") - 0.1) < 0.02);
});

Deno.test("a seed reproduces every row in any order, another seed gives others", () => {
  const rows = range(50).map((i) => [pretrainRow(i), sftRow(i), rlRow(i)]);
  const backwards = range(50).reverse().map((i) => [pretrainRow(i), sftRow(i), rlRow(i)]);
  assert.deepEqual(backwards.reverse(), rows);
  const others = range(50).map((i) => pretrainRow(i, { seed: 1 }).text);
  assert.equal(others.filter((text, i) => text === pretrainRow(i).text).length, 0);
});

Deno.test("thousands of samples hardly repeat: questions, and word 8-grams of stories", () => {
  const questions = new Set(range(10_000).map((i) => taskAt(i).question));
  assert.ok(questions.size > 9000, `${questions.size} of 10,000 questions are distinct`);
  const grams = range(3000).flatMap((i) => {
    const words = storyAt(i).split(" ");
    return words.slice(7).map((_, at) => words.slice(at, at + 8).join(" "));
  });
  const share = new Set(grams).size / grams.length;
  assert.ok(share > 0.75, `${share} of the 8-grams of 3,000 stories are distinct`);
});

Deno.test("rows come in pairs: one question with thinking, and without", () => {
  for (const i of range(300)) {
    const [on, off] = [sftRow(2 * i), sftRow(2 * i + 1)];
    assert.deepEqual(on.messages[1], off.messages[1]);
    assert.equal(on.messages[0].content, "detailed thinking on");
    assert.equal(off.messages[0].content, "detailed thinking off");
    const [reply, answer] = [on, off].map(({ messages }) => String(messages[2].content));
    assert.ok(followsThinkingFormat(reply, true) && followsThinkingFormat(answer, false));
    assert.match(reply, /^<think>\n[^]+\n<\/think>\n\n[^<\n]+$/);
    assert.ok(reply.endsWith(`\n\n${answer}`));
    assert.equal(answer, off.answer);
  }
});

Deno.test("rows for reinforcement learning are prompts with answers, of every task and level", () => {
  const seen = new Set(
    range(2000).map((i) => rlRow(i)).map(({ task, level }) => `${task} ${level}`),
  );
  assert.equal(seen.size, tasks.reduce((sum, { levels }) => sum + levels, 0));
  const { prompt } = rlRow(0, { tasks: ["lists"], levels: [2] }, false);
  assert.deepEqual(prompt.map(({ role }) => role), ["system", "user"]);
  assert.equal(prompt[0].content, "detailed thinking off");
});

Deno.test("tasks and levels can be chosen, and a choice of nothing is refused", () => {
  for (const i of range(100)) {
    const { task, level } = taskAt(i, { tasks: ["strings", "chain"], levels: [3, 4] });
    assert.ok(task === "chain" || (task === "strings" && level === 3));
  }
  assert.throws(
    () => taskAt(0, { tasks: ["strings"], levels: [4] }),
    /no task has the levels \[4\]/,
  );
});

Deno.test("no row is longer than 160 tokens; digits, roles and <think> are one token each", () => {
  const tokenizer = trainSyntheticTokenizer({ vocabularySize: 1024 }).tokenizer();
  const template = ChatTemplate.for(tokenizer);
  assert.equal(template.source, compactTemplate);
  for (const i of range(3000)) {
    assert.ok(tokenizer.encode(pretrainRow(i).text).length <= 160, pretrainRow(i).text);
    const { ids, mask } = template.encodeTargets(tokenizer, sftRow(i).messages);
    assert.ok(ids.length <= 160);
    assert.equal(mask.at(-1), 1);
    assert.equal(ids.at(-1), tokenizer.special.eos[0]);
  }
  const tokens = (text: string): string[] =>
    tokenizer.encode(text).map((id) => tokenizer.tokenOf(id));
  assert.deepEqual(tokens("482+379"), ["4", "8", "2", "+", "3", "7", "9"]);
  assert.equal(tokens("<|user|><|assistant|><think></think><|end|>").length, 5);
  assert.equal(tokens("<|system|>detailed thinking off").length, 4);
});
