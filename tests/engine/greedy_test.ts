import assert from "node:assert/strict";
import { Engine } from "../../engine/mod.ts";
import { Decoder, decoderLogProbs, type DecoderSpec, WeightCopy } from "../../nn/mod.ts";
import { scope, Tensor } from "../../tensor/mod.ts";
import { assertClose } from "../support.ts";
import { deci, llama, nemotron } from "../nn/specs.ts";
import { alone, engineTest, plainTokens, randomPrompts, run, tokensOf } from "./support.ts";

const maxTokens = 24;
/** Random weights of this size give texts that vary. */
const seed = 3;
const windowed: DecoderSpec = {
  ...llama,
  blocks: [{ attention: { kind: "gqa", heads: 4, kvHeads: 4, window: 9 }, ffn: null }],
};

for (const [name, spec] of Object.entries({ llama, nemotron, deci, windowed })) {
  for (const dtype of ["f32", "bf16"] as const) {
    engineTest(`greedy tokens of a ${name} in ${dtype} are those of plain generation`, async () => {
      using decoder = new Decoder(spec, { train: false, dtype, seed });
      const prompts = randomPrompts(12, 90, spec.vocab, 1);
      using engine = new Engine(decoder);
      const completions = await engine.generate(prompts, { maxTokens });
      assert.deepEqual(completions.map(({ ids }) => ids), plainTokens(decoder, prompts, maxTokens));
    });
  }
}

engineTest("a request gets the same tokens alone and among 64 strangers", () => {
  using decoder = new Decoder(llama, { train: false, seed });
  const [prompt, ...strangers] = randomPrompts(65, 60, llama.vocab, 2);
  using engine = new Engine(decoder, { maxRunning: 65 });
  for (const other of strangers.slice(0, 30)) {
    engine.add({ prompt: other, maxTokens, temperature: 1 });
  }
  for (let i = 0; i < 5; i++) engine.step();
  const request = engine.add({ prompt, maxTokens });
  for (const other of strangers.slice(30)) engine.add({ prompt: other, maxTokens, temperature: 1 });
  run(engine);
  assert.deepEqual(tokensOf(request), alone(decoder, prompt, { maxTokens }));
});

engineTest("prompts are computed in pieces of any size with the same result", () => {
  using decoder = new Decoder(llama, { train: false, seed });
  const prompts = randomPrompts(5, 90, llama.vocab, 3);
  const expected = plainTokens(decoder, prompts, maxTokens);
  for (const maxBatchTokens of [5, 7, 16, 33, 64, 500]) {
    using engine = new Engine(decoder, { maxRunning: 5, maxBatchTokens });
    const requests = prompts.map((prompt) => engine.add({ prompt, maxTokens }));
    run(engine);
    assert.deepEqual(requests.map(tokensOf), expected, `${maxBatchTokens} tokens a step`);
  }
});

for (const prefixReuse of [false, true]) {
  engineTest(`preempted requests go on as if nothing had been, prefix reuse ${prefixReuse}`, () => {
    using decoder = new Decoder(deci, { train: false, seed });
    const prompts = randomPrompts(10, 40, deci.vocab, 4);
    using engine = new Engine(decoder, { kvTokens: 160, prefixReuse });
    const requests = prompts.map((prompt) => engine.add({ prompt, maxTokens: 60 }));
    run(engine);
    assert.ok(engine.metrics().counters.preemptions > 0, "nothing was preempted");
    assert.deepEqual(requests.map(tokensOf), plainTokens(decoder, prompts, 60));
    assert.equal(engine.metrics().kvBlocksUsed, 0);
  });
}

engineTest("prompts that begin alike are computed once, with the same result", () => {
  using decoder = new Decoder(llama, { train: false, seed });
  const [system, ...questions] = randomPrompts(9, 30, llama.vocab, 5);
  const shared = [...system, ...new Array<number>(50).fill(7)];
  const prompts = questions.map((question) => [...shared, ...question].slice(0, 100));
  using engine = new Engine(decoder);
  const requests = prompts.map((prompt) => {
    const request = engine.add({ prompt, maxTokens });
    run(engine);
    return request;
  });
  assert.deepEqual(requests.map(tokensOf), plainTokens(decoder, prompts, maxTokens));
  const reused = Math.floor(shared.length / 16) * 16;
  assert.ok(requests.slice(1).every(({ reusedTokens }) => reusedTokens >= reused));
  const { prefixHits, prefixQueries } = engine.metrics().counters;
  assert.ok(prefixHits >= 7 * reused && prefixHits < prefixQueries);
});

engineTest("several choices share what is computed of the prompt, and write apart", () => {
  using decoder = new Decoder(llama, { train: false, seed });
  const prompt = randomPrompts(1, 1, 96, 6)[0].concat(Array.from({ length: 40 }, (_, i) => i));
  const options = { prompt, maxTokens, temperature: 1, seed: 5 };
  using engine = new Engine(decoder, { prefixReuse: false });
  const request = engine.add({ ...options, n: 6 });
  engine.step();
  // 41 tokens fill two blocks and part of a third, which all choices share until they write.
  assert.equal(engine.metrics().kvBlocksUsed, 3);
  run(engine);
  const texts = request.completions.map(({ ids }) => ids);
  assert.equal(new Set(texts.map(String)).size, 6, "choices are alike");
  texts.forEach((text, sample) =>
    assert.deepEqual(text, alone(decoder, prompt, { ...options, sample }))
  );
  assert.equal(engine.metrics().kvBlocksUsed, 0);
});

engineTest("log-probabilities are those of training", async () => {
  for (const spec of [llama, nemotron, deci]) {
    using decoder = new Decoder(spec, { train: false, seed });
    using engine = new Engine(decoder, { maxBatchTokens: 64 });
    const prompts = randomPrompts(8, 50, spec.vocab, 7);
    const completions = await engine.generate(prompts, {
      maxTokens,
      temperature: 0.7,
      topP: 0.9,
      topLogProbs: 3,
    });
    for (const { prompt, ids, logProbs, top } of completions) {
      const all = [...prompts[prompt], ...ids], from = prompts[prompt].length - 1;
      const expected = scope(() => {
        const row = (values: number[]): Tensor =>
          Tensor.from(values, [values.length], { dtype: "i32" });
        const { logProbs } = decoderLogProbs(decoder, row(all.slice(0, -1)), row(all.slice(1)), {
          lengths: [all.length - 1],
        });
        return [...logProbs.data()].slice(from);
      });
      assertClose(logProbs, expected, { absolute: 1e-5, relative: 0 }, "log-probabilities");
      top.forEach((likeliest, i) => {
        assert.equal(likeliest.length, 3);
        assert.ok(
          likeliest[0].logProb >= likeliest[1].logProb &&
            likeliest[0].logProb >= logProbs[i] - 1e-6,
        );
        const same = likeliest.find(({ id }) => id === ids[i]);
        if (same) assert.ok(Math.abs(same.logProb - logProbs[i]) < 1e-5);
      });
    }
  }
});

engineTest("weights of 8 bits say nearly the same, and the same in any batch", async () => {
  using decoder = new Decoder(llama, { train: false, seed });
  const prompts = randomPrompts(10, 40, llama.vocab, 8);
  using exact = new Engine(decoder), short = new Engine(decoder, { weights: "int8" });
  const options = { maxTokens: 8, topLogProbs: 1 };
  const [expected, actual] = [
    await exact.generate(prompts, options),
    await short.generate(prompts, options),
  ];
  expected.forEach(({ top }, i) =>
    assert.ok(Math.abs(top[0][0].logProb - actual[i].top[0][0].logProb) < 0.05)
  );
  prompts.forEach((prompt, i) =>
    assert.deepEqual(actual[i].ids, alone(decoder, prompt, { maxTokens: 8 }, { weights: "int8" }))
  );
});

engineTest("adapters are part of the copy", () => {
  scope(() => {
    const weight = Tensor.from([[1, 0], [0, 1]]), x = Tensor.from([[3, 5]]);
    const adapter = {
      a: Tensor.from([[1, 1]]),
      b: Tensor.from([[2], [0]]),
      scale: 0.5,
      active: true,
    };
    using copy = new WeightCopy(
      [{ weight, bias: Tensor.from([1, 0]), adapter: adapter as never }],
      "f32",
    );
    assert.deepEqual([...copy.forward(x).data()], [3 + 8 + 1, 5]);
  });
});

engineTest(
  "refreshed weights hold from the next token on, and old keys and values are forgotten",
  async () => {
    using old = new Decoder(llama, { train: false, seed }),
      trained = new Decoder(llama, { train: false, seed: 9 });
    const prompts = randomPrompts(4, 60, llama.vocab, 9);
    using engine = new Engine(old);
    await engine.generate(prompts, { maxTokens });
    const seconds = engine.refresh(trained, 7);
    assert.ok(seconds >= 0 && engine.version === 7 && engine.metrics().weightVersion === 7);
    const completions = await engine.generate(prompts, { maxTokens });
    assert.deepEqual(completions.map(({ ids }) => ids), plainTokens(trained, prompts, maxTokens));
    using other = new Decoder(nemotron, { train: false });
    assert.throws(() => engine.refresh(other), /another spec/);
  },
);

engineTest("layers without attention take no memory for keys and values", () => {
  using decoder = new Decoder(deci, { train: false }), all = new Decoder(llama, { train: false });
  using sparse = new Engine(decoder, { kvTokens: 160 }), dense = new Engine(all, { kvTokens: 160 });
  // Two and one kv heads in two of five blocks; two in each of two blocks.
  assert.equal(sparse.metrics().kvBytes, 160 * 2 * (2 + 1) * 8 * 4);
  assert.equal(dense.metrics().kvBytes, 160 * 2 * (2 + 2) * 8 * 4);
});
