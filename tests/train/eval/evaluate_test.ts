import assert from "node:assert/strict";
import { Decoder, type DecoderSpec } from "../../../nn/mod.ts";
import { type Tokenizer, trainBpe } from "../../../text/mod.ts";
import { rowsOf } from "../../../train/data/mod.ts";
import {
  answerRow,
  evalTable,
  type EvalTask,
  evaluate,
  type JudgedCompletion,
  perplexityOf,
} from "../../../train/eval/mod.ts";
import { type CompletionSource, decoderCompletions } from "../../../train/generator.ts";
import { exactReward, mathReward } from "../../../train/rewards/mod.ts";

const tokenizer: Tokenizer = trainBpe(["the answer is a number"], {
  vocabularySize: 300,
  specialTokens: ["<|end|>"],
  eos: "<|end|>",
}).tokenizer();

const rows = Array.from({ length: 10 }, (_, i) => ({
  messages: [{ role: "user", content: `What is ${i} + 1?` }],
  answer: String(i + 1),
}));
const task: EvalTask = { name: "sums", rows, correct: mathReward() };

/** Answers like a model that is right in `right` of its samples, and thinks where the prompt asks for it. */
function scripted(
  right: (problem: number, sample: number) => boolean,
  samples = 1,
): CompletionSource {
  return (prompts, { onCompletion }) => {
    const completions = prompts.map((ids, place) => {
      const problem = Math.floor(place / samples), asked = tokenizer.decode([...ids]);
      const answer = right(problem, place % samples) ? problem + 1 : -1;
      const thinking = asked.includes("detailed thinking on") ? "<think>hm</think>\n\n" : "";
      const text = `${thinking}The answer is ${answer}.`;
      return { ids: [...tokenizer.encode(text), 0], ended: true, logProbs: null };
    });
    completions.forEach((completion, place) => onCompletion?.(completion, place));
    return Promise.resolve(completions);
  };
}

Deno.test("accuracy, format and length are measured with reasoning on and off", async () => {
  const generate = scripted((problem) => problem < 4);
  const [on, off] = await evaluate([task], { generate, tokenizer });
  assert.deepEqual([on.mode, off.mode], ["on", "off"]);
  assert.deepEqual([on.temperature, on.topP, off.temperature, off.topP], [0.6, 0.95, 0, 1]);
  assert.equal(on.accuracy.value, 0.4);
  assert.ok(on.accuracy.low > 0.15 && on.accuracy.high < 0.7);
  assert.deepEqual([on.format.value, off.format.value, on.ended.value], [1, 1, 1]);
  assert.ok(on.tokens > off.tokens);
  assert.deepEqual(JSON.parse(JSON.stringify([on, off])), [on, off]);
  assert.match(evalTable([on, off]), /sums +on +10 +40\.0 % \[/);
});

Deno.test("with several samples accuracy is their mean, and pass@k is not biased", async () => {
  const generate = scripted((problem, sample) => sample < problem % 3, 4);
  const options = { generate, tokenizer, samples: 4, passAt: [1, 2, 4], modes: ["given"] as const };
  const [{ accuracy, passAt }] = await evaluate([task], options);
  const right = rows.map((_, problem) => problem % 3);
  const mean = right.reduce((sum, count) => sum + count, 0) / 40;
  assert.ok(Math.abs(accuracy.value - mean) < 1e-12 && Math.abs(passAt["1"].value - mean) < 1e-12);
  assert.ok(Math.abs(passAt["4"].value - right.filter((count) => count > 0).length / 10) < 1e-12);
  assert.ok(passAt["2"].value > passAt["1"].value && passAt["2"].low <= passAt["2"].value);
});

Deno.test("a completion that cannot be judged counts as wrong, and is told", async () => {
  const failing: EvalTask = { ...task, correct: () => Promise.reject(new Error("no judge")) };
  const [report] = await evaluate([failing], {
    generate: scripted(() => true),
    tokenizer,
    modes: ["off"],
  });
  assert.deepEqual([report.accuracy.value, report.failures], [0, 10]);
});

const spec: DecoderSpec = {
  ...{ vocab: tokenizer.vocabularySize, dim: 16, context: 96, headDim: 8, tied: true },
  norm: { kind: "rms_norm", eps: 1e-5 },
  rope: { theta: 10_000, fraction: 1, scaling: null },
  blocks: [{ attention: { kind: "gqa", heads: 2, kvHeads: 1 }, ffn: null }],
};

Deno.test("a decoder is measured through plain generation, the same for any batch at temperature 0", async () => {
  using decoder = new Decoder(spec, { train: false });
  const measured = async (batch: number) => {
    const texts: string[] = [];
    const generate = decoderCompletions(decoder, { batch });
    const correct = exactReward;
    const onJudged = ({ completion }: { completion: { text: string } }) =>
      texts.push(completion.text);
    await evaluate([{ ...task, correct }], {
      generate,
      tokenizer,
      maxTokens: 6,
      modes: ["off"],
      onJudged,
    });
    return texts.toSorted();
  };
  assert.deepEqual(await measured(3), await measured(10));
});

Deno.test("the perplexity of a model that knows nothing is about its vocabulary, whatever the batch", async () => {
  using decoder = new Decoder(spec, { train: false });
  const sequences = rows.map((_, i) => ({
    ids: Int32Array.from({ length: 5 + i }, (_, k) => 5 + (k * 7 + i) % 200),
    trained: Uint8Array.from({ length: 5 + i }, (_, k) => k > 1 ? 1 : 0),
  }));
  const small = await perplexityOf(decoder, rowsOf(sequences, "some"), { tokensPerBatch: 16 });
  const large = await perplexityOf(decoder, rowsOf(sequences, "some"));
  assert.equal(small.tokens, sequences.reduce((sum, { ids }) => sum + ids.length - 2, 0));
  assert.ok(Math.abs(small.loss - large.loss) < 1e-6);
  assert.ok(Math.abs(Math.log(tokenizer.vocabularySize) - small.loss) < 0.5);
});

Deno.test("answers become rows to learn from, with the switch as it was", async () => {
  const judged: JudgedCompletion[] = [];
  await evaluate([task], {
    generate: scripted((problem) => problem < 4),
    tokenizer,
    onJudged: (one) => judged.push(one),
  });
  const answers = judged.filter(({ problem }) => problem === 4);
  const [on, off] = answers.map((one) => answerRow(rows[4], one)!);
  assert.deepEqual(on, {
    answer: "5",
    messages: [
      { role: "system", content: "detailed thinking on" },
      rows[4].messages[0],
      { role: "assistant", content: "<think>hm</think>\n\nThe answer is -1." },
    ],
    ended: true,
    correct: 0,
    format: 1,
  });
  assert.deepEqual((off.messages as unknown[])[0], {
    role: "system",
    content: "detailed thinking off",
  });
  assert.equal(answerRow({ prompt: "4 + 1 =", answer: "5" }, answers[0]), null);
});
