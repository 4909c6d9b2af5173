/**
 * What the loop promises, with small decoders and batches in memory.
 *
 * @module
 */
import assert from "node:assert/strict";
import { addLora, Decoder } from "../../nn/mod.ts";
import { device, Tensor } from "../../tensor/mod.ts";
import {
  constantSchedule,
  DivergedError,
  pretrainStage,
  type Stage,
  type TokenBatch,
  train,
  type TrainOptions,
} from "../../train/mod.ts";
import { assertClose } from "../support.ts";
import { withFolder } from "../nn/specs.ts";
import {
  MemoryRun,
  numberedBatches,
  randomBatch,
  randomBatches,
  tiny,
  tinyDecoder,
  weightsOf,
} from "./support.ts";

const lr = constantSchedule({ peak: 1e-2 });
const joined = (batches: readonly TokenBatch[]): TokenBatch => ({
  ids: Int32Array.from(batches.flatMap(({ ids }) => [...ids])),
  targets: Int32Array.from(batches.flatMap(({ targets }) => [...targets])),
  lengths: batches.flatMap(({ lengths }) => lengths),
});

/** The loss, the gradients and the weights of one step on `batches`. */
async function oneStep(batches: readonly TokenBatch[]): Promise<number[][]> {
  using model = tinyDecoder();
  const source = { ...numberedBatches(() => batches[0]), next: () => Promise.resolve(batches) };
  const run = new MemoryRun();
  await train(pretrainStage({ model, batches: source }), { steps: 1, lr }, run);
  const { gradient, master } = model.arena!;
  return [run.curve("loss"), run.curve("grad_norm"), [...gradient.data()], [...master.data()]];
}

const names = ["loss", "gradient norm", "gradients", "weights"];
const close = { absolute: 2e-6, relative: 1e-4 };

function assertSameStep(actual: number[][], expected: number[][]): void {
  // Weights move by the gradient's sign at first, so those of gradients near zero differ: the gradients tell.
  for (const i of [0, 1, 2]) assertClose(actual[i], expected[i], close, names[i]);
}

Deno.test("micro-batches of different sizes give the step that one batch of them all gives", async () => {
  const batches = [[3], [9, 4], [16], [1, 2]].map((lengths, i) => randomBatch(i, lengths));
  assertSameStep(await oneStep(batches), await oneStep([joined(batches)]));
});

Deno.test("sequences that are packed give the step that each gives alone", async () => {
  const alone = [5, 16, 1, 8].map((length, i) => randomBatch(i, [length]));
  assertSameStep(await oneStep([joined(alone)]), await oneStep(alone));
});

Deno.test("a micro-batch in which nothing is trained adds nothing", async () => {
  const [first, second] = [randomBatch(1, [8]), randomBatch(2, [8])];
  const nothing = { ...second, targets: second.targets.map(() => -1) };
  assert.deepEqual(await oneStep([first, nothing]), await oneStep([first]));
});

/** Trains a small decoder, and returns it with what was told; the caller disposes of it. */
async function trained(
  options: Partial<TrainOptions>,
  change: (stage: Stage<TokenBatch>, model: Decoder) => Stage<TokenBatch> = (stage) => stage,
  run = new MemoryRun(),
) {
  const model = tinyDecoder();
  const stage = change(pretrainStage({ model, batches: randomBatches() }), model);
  const result = await train(stage, { steps: 6, lr, ...options }, run);
  return { model, stage, run, result };
}

Deno.test("two runs with the same seeds are the same, bit for bit", async () => {
  const [a, b] = [await trained({}), await trained({})];
  assert.deepEqual(a.run.curve("loss"), b.run.curve("loss"));
  assert.deepEqual(weightsOf(a.stage), weightsOf(b.stage));
  a.model[Symbol.dispose]();
  b.model[Symbol.dispose]();
});

Deno.test("a run leaves no memory behind", async () => {
  const before = device().memory;
  const { model } = await trained({ averageDecay: 0.9, evaluateEvery: 2 }, (stage) => ({
    ...stage,
    evaluate: () => Promise.resolve({ loss: 1 }),
  }));
  model[Symbol.dispose]();
  assert.equal(device().memory.inUse, before.inUse);
  assert.equal(device().memory.blocks, before.blocks);
});

Deno.test("a step whose loss is not a number is left out and reported", async () => {
  const poisoned = (stage: Stage<TokenBatch>): Stage<TokenBatch> => {
    let calls = 0;
    return {
      ...stage,
      loss(batch, total) {
        const { loss } = stage.loss(batch, total);
        return { loss: ++calls === 5 ? loss.mul(NaN) : loss };
      },
    };
  };
  const { model, stage, run } = await trained({ steps: 3 }, poisoned);
  assert.deepEqual(run.warnings, ["train: step 3 is left out, the loss is NaN."]);
  assert.deepEqual(run.curve("skipped"), [0, 0, 1]);
  const clean = await trained({ steps: 2 });
  assert.deepEqual(weightsOf(stage), weightsOf(clean.stage));
  for (const owned of [model, clean.model]) owned[Symbol.dispose]();
});

Deno.test("a run whose losses are all useless ends with an error", async () => {
  const model = tinyDecoder();
  const stage: Stage<TokenBatch> = {
    ...pretrainStage({ model, batches: randomBatches() }),
    loss: () => ({ loss: Tensor.from([Infinity]).sum() }),
  };
  await assert.rejects(
    train(stage, { steps: 20, lr, guard: { maxSkips: 4 } }, new MemoryRun()),
    DivergedError,
  );
  model[Symbol.dispose]();
});

Deno.test("gradients are clipped, and the norm from before is told", async () => {
  const { model, run } = await trained({ steps: 1, maxGradNorm: 1e-3 });
  const free = await trained({ steps: 1, maxGradNorm: Infinity });
  assert.deepEqual(run.curve("grad_norm"), free.run.curve("grad_norm"));
  for (const owned of [model, free.model]) owned[Symbol.dispose]();
});

/** Evaluations that give these losses, one after the other. */
const evaluating = (losses: readonly number[]) => (stage: Stage<TokenBatch>): Stage<TokenBatch> => {
  let calls = 0;
  return { ...stage, evaluate: () => Promise.resolve({ loss: losses[calls++], other: 7 }) };
};

Deno.test("a run stops early when its held-out loss gets no lower", async () => {
  const losses = [3, 2, 2.5, 2.1, 2.2, 1];
  const { model, run, result } = await trained(
    { steps: 100, evaluateEvery: 2, patience: 3 },
    evaluating(losses),
  );
  assert.equal(result.reason, "stopped early");
  assert.equal(result.step, 10);
  assert.deepEqual(result.best, { step: 4, loss: 2 });
  assert.deepEqual(run.curve("eval/loss"), losses.slice(0, 5));
  assert.deepEqual(run.curve("eval/other"), [7, 7, 7, 7, 7]);
  model[Symbol.dispose]();
});

Deno.test("the newest and the best checkpoints stay, and the model ends with the best weights", async () => {
  await withFolder(async (folder) => {
    const losses = [3, 1, 2, 2, 2, 2];
    const bits: Uint8Array[] = [];
    const { model, result } = await trained(
      { evaluateEvery: 1, checkpointEvery: 1, keepLast: 2, keepBest: true },
      (stage, model) => {
        const { evaluate } = evaluating(losses)(stage);
        const keep = () => bits.push(model.state().get("embedding.weight")!.read());
        return { ...stage, evaluate: () => (keep(), evaluate!()) };
      },
      new MemoryRun(folder),
    );
    const left = [...Deno.readDirSync(`${folder}/checkpoints`)].map(({ name }) => name).sort();
    assert.deepEqual(left, ["step-000002", "step-000005", "step-000006"]);
    assert.equal(result.checkpoint, `${folder}/checkpoints/step-000006`);
    assert.deepEqual(model.state().get("embedding.weight")!.read(), bits[1]);
    model[Symbol.dispose]();
  });
});

Deno.test("the last step is evaluated too, whether the steps are made or the batches ran out", async () => {
  const made = await trained({ steps: 5, evaluateEvery: 2 }, evaluating([3, 2, 1]));
  assert.deepEqual([made.result.reason, made.run.curve("eval/loss")], ["finished", [3, 2, 1]]);
  const short = await trained({ evaluateEvery: 2 }, (stage) => ({
    ...evaluating([3, 2, 1])(stage),
    batches: randomBatches(2, 5),
  }));
  assert.deepEqual([short.result.reason, short.result.step], ["exhausted", 5]);
  assert.deepEqual(short.run.curve("eval/loss"), [3, 2, 1]);
  for (const { model } of [made, short]) model[Symbol.dispose]();
});

Deno.test("a run with an average evaluates it and ends with it", async () => {
  const decay = 0.5, masters: number[][] = [], evaluated: number[][] = [];
  const { model } = await trained({ averageDecay: decay, evaluateEvery: 1 }, (stage, model) => ({
    ...stage,
    loss(batch, total) {
      masters.push([...model.arena!.master.data()]);
      return stage.loss(batch, total);
    },
    evaluate() {
      evaluated.push([...model.arena!.master.data()]);
      return Promise.resolve({ loss: 1 });
    },
  }));
  // Two micro-batches a step: every second entry is the weights before a step.
  let average = masters[0];
  for (let step = 1; step < 6; step++) {
    average = average.map((value, i) => decay * value + (1 - decay) * masters[2 * step][i]);
    assertClose(evaluated[step - 1], average, { absolute: 1e-6, relative: 0 }, `step ${step}`);
  }
  assert.deepEqual([...model.arena!.master.data()], evaluated[5]);
  model[Symbol.dispose]();
});

for (const trainable of [true, false]) {
  const how = trainable ? "frozen" : "that have no gradients";
  Deno.test(`training adapters leaves weights ${how} beside them alone`, async () => {
    using model = new Decoder(tiny, { train: trainable });
    const base = weightsOf({ model });
    const lora = addLora(model, { rank: 4 });
    const run = new MemoryRun();
    await train(pretrainStage({ model, batches: randomBatches() }), { steps: 8, lr }, run);
    for (const [name, bits] of base) {
      assert.deepEqual(model.state().get(name)!.read(), bits, name);
    }
    const factors = lora.layers.values().map((layer) => layer.adapter!.b.detach().data());
    assert.ok(factors.every((factor) => factor.some(Boolean)));
  });
}

Deno.test("the optimizer forgets its means before the steps that are asked for", async () => {
  const steady = await trained({ steps: 4 });
  const reset = await trained({ steps: 4, resetOptimizerAt: [3] });
  assert.deepEqual(steady.run.curve("loss").slice(0, 3), reset.run.curve("loss").slice(0, 3));
  assert.notEqual(steady.run.curve("loss")[3], reset.run.curve("loss")[3]);
  for (const { model } of [steady, reset]) model[Symbol.dispose]();
});

Deno.test("samples are taken when they are due, without dropout", async () => {
  const { model, run } = await trained({ sampleEvery: 3 }, (stage, model) => ({
    ...stage,
    sample: () => Promise.resolve(`training: ${model.training}`),
  }));
  assert.deepEqual([...run.samples], [[3, "training: false"], [6, "training: false"]]);
  assert.ok(model.training);
  model[Symbol.dispose]();
});

Deno.test("a stage's own figures are averaged by the weights of the micro-batches", async () => {
  const { model, stage, run } = await trained({ steps: 1 }, (stage) => ({
    ...stage,
    loss: (batch, total) => ({
      ...stage.loss(batch, total),
      metrics: { length: batch.ids.length },
    }),
  }));
  const batches = (await randomBatches().next(1))!;
  const weights = batches.map((batch) => stage.weight(batch));
  const mean = batches.reduce((sum, { ids }, i) => sum + ids.length * weights[i], 0) /
    (weights[0] + weights[1]);
  assertClose(run.curve("length"), [mean], { absolute: 1e-12, relative: 0 }, "length");
  model[Symbol.dispose]();
});
