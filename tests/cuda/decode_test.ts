import assert from "node:assert/strict";
import { Engine } from "../../engine/mod.ts";
import { Decoder } from "../../nn/mod.ts";
import { device } from "../../tensor/mod.ts";
import { randomPrompts } from "../engine/support.ts";
import { deci, llama } from "../nn/specs.ts";
import { cudaTest } from "./support.ts";

const cases = [[llama, "f32"], [deci, "bf16"]] as const;

/** What an engine on the default device draws, with the log-probabilities of the likeliest tokens, and how. */
async function generate(decoder: Decoder, weights: "f32" | "bf16", graphs: boolean) {
  using engine = new Engine(decoder, { weights, graphs, maxRunning: 2, kvTokens: 400 });
  const texts = [];
  for (const seed of [1, 2]) {
    const prompts = randomPrompts(3, 20, decoder.spec.vocab, seed);
    texts.push(
      await engine.generate(prompts, { maxTokens: 6, temperature: 1, topLogProbs: 2, seed }),
    );
    engine.refresh(decoder); // graphs are captured again
  }
  return {
    texts,
    replayed: engine.metrics().replayedSteps,
    steps: engine.metrics().counters.steps,
  };
}

for (const [spec, weights] of cases) {
  cudaTest(`decoding with graphs gives the bits that it gives without, ${weights}`, async () => {
    const before = device("cuda").memory;
    {
      using decoder = new Decoder(spec, {
        train: false,
        dtype: weights === "bf16" ? "bf16" : "f32",
        seed: 3,
      });
      const [plain, graphs] = [
        await generate(decoder, weights, false),
        await generate(decoder, weights, true),
      ];
      assert.deepEqual(graphs.texts, plain.texts);
      assert.equal(plain.replayed, 0);
      assert.ok(graphs.replayed > graphs.steps / 2, `${graphs.replayed} of ${graphs.steps} steps`);
    }
    const after = device("cuda").memory;
    assert.deepEqual([after.inUse, after.blocks], [before.inUse, before.blocks], "memory is left");
  });
}
