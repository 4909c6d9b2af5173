import assert from "node:assert/strict";
import { Engine, type GenerationOptions } from "../../engine/mod.ts";
import type { Logits } from "../../engine/model.ts";
import { drawTokens, TokenSampler } from "../../engine/sampler.ts";
import { Decoder } from "../../nn/mod.ts";
import { Tensor } from "../../tensor/mod.ts";
import { tensorTest, uniforms } from "../support.ts";
import { llama } from "../nn/specs.ts";
import { alone, engineTest, randomPrompts, run, tokensOf } from "./support.ts";

const logits = [1.5, -0.5, 2, 0.25, 2, -3, 0, 1.25, -1, 0.75, -0.25, 1];
const draws = 4000;

/** The distribution that options ask for, from their definitions. */
function exact(
  options: GenerationOptions,
  prompt: readonly number[] = [],
  made: readonly number[] = [],
): number[] {
  const { temperature = 1, topK = 0, topP = 1, minP = 0, vocabularySize = logits.length } = options;
  const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0, logitBias } = options;
  const scores = logits.map((logit, id) => {
    const count = made.filter((other) => other === id).length;
    const repeated = count > 0 || prompt.includes(id);
    const divided = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
    const penalty = (count > 0 ? presencePenalty : 0) + count * frequencyPenalty;
    return (repeated ? divided : logit) - penalty + (logitBias?.get(id) ?? 0);
  });
  const order = scores.map((_, id) => id).filter((id) => id < vocabularySize)
    .sort((a, b) => scores[b] - scores[a] || a - b);
  const weights = scores.map((score) => Math.exp(score / temperature));
  const most = weights[order[0]];
  let kept = order.filter((id) => weights[id] >= minP * most);
  if (topK > 0) kept = kept.slice(0, topK);
  const sum = (ids: number[]): number => ids.reduce((total, id) => total + weights[id], 0);
  let count = 1;
  while (count < kept.length && sum(kept.slice(0, count)) < topP * sum(kept)) count++;
  kept = kept.slice(0, count);
  return weights.map((weight, id) => kept.includes(id) ? weight / sum(kept) : 0);
}

/** Rows of logits of which nothing else is known. */
function rowsOf(...rows: readonly (readonly number[])[]): Logits {
  const values = Tensor.from(rows.flat(), [rows.length, rows[0].length]);
  return [values, Tensor.empty([rows.length, 0])];
}

/** The same with the largest of each 256. */
function withMaxima([values]: Logits): Logits {
  const [rows, vocab] = values.shape, all = values.data();
  const maxima = Array.from(
    { length: rows },
    (_, row) =>
      Array.from({ length: Math.ceil(vocab / 256) }, (_, block) => {
        const start = row * vocab + 256 * block;
        return Math.max(...all.slice(start, Math.min(start + 256, (row + 1) * vocab)));
      }),
  );
  return [values, Tensor.from(maxima)];
}

/** How often each id is drawn by as many seeds. */
function frequencies(
  options: GenerationOptions,
  prompt: readonly number[],
  made: readonly number[],
): number[] {
  const counts = logits.map(() => 0);
  const samplers = Array.from({ length: draws }, (_, sample) => {
    const sampler = new TokenSampler(prompt, options, sample);
    for (const id of made) sampler.push(id);
    return { sampler, row: 0, position: prompt.length + made.length, generated: made.length };
  });
  for (const drawn of drawTokens(rowsOf(logits), samplers)) counts[drawn!.id]++;
  return counts;
}

const cases: Record<string, GenerationOptions> = {
  "temperature 1": { maxTokens: 1, temperature: 1 },
  "temperature 0.5": { maxTokens: 1, temperature: 0.5 },
  "temperature 3": { maxTokens: 1, temperature: 3 },
  "top-k": { maxTokens: 1, temperature: 1, topK: 4 },
  "top-p": { maxTokens: 1, temperature: 1, topP: 0.6 },
  "min-p": { maxTokens: 1, temperature: 1.5, minP: 0.3 },
  "all filters": { maxTokens: 1, temperature: 2, topK: 8, topP: 0.8, minP: 0.1 },
  "the tokenizer's size": { maxTokens: 1, temperature: 1, vocabularySize: 7 },
  "a repetition penalty": { maxTokens: 1, temperature: 1, repetitionPenalty: 1.6 },
  "presence and frequency penalties": {
    maxTokens: 1,
    temperature: 1,
    presencePenalty: 0.5,
    frequencyPenalty: 0.4,
  },
  "logit bias": {
    maxTokens: 1,
    temperature: 1,
    logitBias: new Map([[5, 4], [2, -Infinity], [7, -1]]),
  },
  "everything": {
    maxTokens: 1,
    temperature: 0.8,
    topK: 6,
    topP: 0.95,
    repetitionPenalty: 1.2,
    frequencyPenalty: 0.3,
    logitBias: new Map([[2, 1], [0, -0.5]]),
  },
};

for (const [name, options] of Object.entries(cases)) {
  tensorTest(`tokens are as frequent as they are likely: ${name}`, () => {
    const prompt = [0, 1, 2], made = [2, 4, 4, 9];
    const expected = exact(options, prompt, made), counts = frequencies(options, prompt, made);
    let chiSquare = 0, freedom = -1;
    expected.forEach((probability, id) => {
      if (probability === 0) return assert.equal(counts[id], 0, `id ${id} was filtered out`);
      chiSquare += (counts[id] - draws * probability) ** 2 / (draws * probability);
      freedom++;
    });
    // Six standard deviations above the mean of the chi-square distribution; the draws are reproducible.
    assert.ok(
      chiSquare < freedom + 6 * Math.sqrt(2 * freedom + 1),
      `chi-square ${chiSquare} of ${freedom}`,
    );
  });
}

tensorTest("a temperature of 0 takes the first of the most likely tokens", () => {
  const sampler = new TokenSampler([], { maxTokens: 1 }, 0);
  const rows = [{ sampler, row: 0, position: 0, generated: 0 }];
  assert.equal(drawTokens(rowsOf(logits), rows)[0]!.id, 2);
});

tensorTest("logits that are no numbers give no token, to others they do no harm", () => {
  const options = { maxTokens: 1, temperature: 1 };
  const rows = [0, 1, 2].map((row) => ({
    sampler: new TokenSampler([], options, 0),
    row,
    position: 0,
    generated: 0,
  }));
  const [good, bad] = [logits, logits.with(3, NaN)];
  const both = drawTokens(rowsOf(good, bad, good), rows);
  const single = drawTokens(rowsOf(good), rows.slice(0, 1));
  assert.equal(both[1], null);
  assert.deepEqual([both[0]!.id, both[2]!.id], [single[0]!.id, single[0]!.id]);
});

tensorTest("where the largest logits of blocks are known, the same tokens are drawn", () => {
  const next = uniforms(4), vocab = 700;
  const random = (): number[] => Array.from({ length: vocab }, () => Math.round(40 * next()) / 4);
  const last = random().with(vocab - 1, 99), odd = random().with(300, NaN);
  const infinite = random().with(600, Infinity), none = random().fill(-Infinity);
  const logits = rowsOf(random(), random(), last, odd, infinite, none, random());
  const asked: Partial<GenerationOptions>[] = [
    {},
    { logProbs: true },
    { temperature: 1, topP: 0.9 },
    { temperature: 2, topK: 3 },
    { vocabularySize: 500 },
    { logitBias: new Map([[vocab - 1, -200], [7, 1]]) },
    { repetitionPenalty: 2 },
  ];
  for (const options of asked) {
    const rows = Array.from({ length: logits[0].shape[0] }, (_, row) => ({
      sampler: new TokenSampler([3, 5], { maxTokens: 1, ...options }, row),
      ...{ row, position: 2, generated: 0 },
    }));
    const plain = drawTokens(logits, rows);
    assert.deepEqual(drawTokens(withMaxima(logits), rows), plain);
    assert.deepEqual(drawTokens(withMaxima(logits), rows.toReversed()), plain.toReversed());
    assert.deepEqual(plain.map((drawn) => drawn === null).slice(3, 6), [true, true, true]);
  }
});

engineTest("seeded requests reproduce alone, in any batch, after preemption and in pieces", () => {
  using decoder = new Decoder(llama, { train: false, seed: 3 });
  const [prompt, ...strangers] = randomPrompts(20, 40, llama.vocab, 1);
  const options = { maxTokens: 40, temperature: 1, topP: 0.95, seed: 11 };
  const expected = alone(decoder, prompt, options);
  assert.notDeepEqual(alone(decoder, prompt, { ...options, seed: 12 }), expected);
  for (
    const sizes of [{}, { kvTokens: 240 }, { maxRunning: 6, maxBatchTokens: 9 }, {
      prefixReuse: false,
    }]
  ) {
    using engine = new Engine(decoder, sizes);
    for (const other of strangers) engine.add({ ...options, prompt: other, seed: 1 });
    const request = engine.add({ ...options, prompt });
    run(engine);
    assert.deepEqual(tokensOf(request), expected, JSON.stringify(sizes));
  }
});
