import assert from "node:assert/strict";
import { Decoder } from "../../nn/mod.ts";
import { device, scope } from "../../tensor/mod.ts";
import { AdamW, pretrainStage, StepGuard, type TokenBatch } from "../../train/mod.ts";
import { Stepper } from "../../train/step.ts";
import { llama } from "../nn/specs.ts";
import { uniforms } from "../support.ts";
import { cudaTest } from "./support.ts";

/** Micro-batches of sequences whose number and lengths differ; some tokens are not trained. */
function microBatches(count: number): TokenBatch[] {
  const next = uniforms(4), below = (n: number): number => Math.floor(next() * n);
  return Array.from({ length: count }, (_, i) => {
    const cut = 1 + below(8), lengths = i % 2 === 0 ? [cut, 12, 12 - cut] : [cut, 10 - cut, 3, 11];
    const ids = Int32Array.from({ length: 24 }, () => below(llama.vocab));
    return { ids, targets: ids.map((id, at) => at % (i + 3) === 0 ? -1 : (id + 1) % 96), lengths };
  });
}

const steps = 6, poisoned = 4;

/** What six steps of two micro-batches come to on the default device. In the fourth one a weight is no number. */
function learn(dtype: "f32" | "bf16", graphs: boolean) {
  const batches = microBatches(2 * steps);
  const source = { next: () => Promise.resolve(null), state: () => null, restore: () => {} };
  using model = new Decoder({ ...llama, blocks: llama.blocks.slice(0, 1) }, { dtype, seed: 1 });
  using optimizer = new AdamW(model);
  const stage = pretrainStage({ model, batches: source });
  using stepper = new Stepper(stage, optimizer, new StepGuard(), graphs);
  const { weight } = model.norm, figures = [];
  for (let step = 1; step <= steps; step++) {
    using before = scope(() => weight.detach().clone().keep());
    if (step === poisoned) weight.fill(NaN);
    const pair = batches.slice(2 * step - 2, 2 * step);
    figures.push(stepper.step(pair, { lr: 0.01 * step, maxGradNorm: 0.5, firstDraw: 2 * step }));
    if (step === poisoned) weight.assign(before);
  }
  const { step } = optimizer, weights = [...model.arena!.master.data()];
  return { figures, step, weights, replayed: stepper.replayed };
}

for (const dtype of ["f32", "bf16"] as const) {
  cudaTest(`training with graphs gives the bits that it gives without, ${dtype}`, () => {
    const before = device("cuda").memory;
    const plain = learn(dtype, false), graphs = learn(dtype, true), after = device("cuda").memory;
    assert.deepEqual(graphs.figures, plain.figures);
    assert.deepEqual(graphs.weights, plain.weights);
    assert.deepEqual([plain.replayed, graphs.replayed], [0, steps - 1]);
    const applied = plain.figures.map(({ applied }) => applied);
    assert.deepEqual(applied, [true, true, true, false, true, true]);
    assert.deepEqual([plain.step, graphs.step], [steps - 1, steps - 1]);
    assert.ok(graphs.weights.every(Number.isFinite));
    assert.deepEqual([after.inUse, after.blocks], [before.inUse, before.blocks], "memory is left");
  });
}
