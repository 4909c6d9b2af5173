/**
 * Runs that are broken off and go on give the bits of runs that are not.
 *
 * @module
 */
import assert from "node:assert/strict";
import { addLora } from "../../nn/mod.ts";
import { cosineSchedule, pretrainStage, train, type TrainOptions } from "../../train/mod.ts";
import { withFolder } from "../nn/specs.ts";
import { MemoryRun, randomBatch, randomBatches, tinyDecoder, weightsOf } from "./support.ts";

const steps = 6;
const options: TrainOptions = {
  steps,
  lr: cosineSchedule({ peak: 1e-2, warmup: 2, steps }),
  averageDecay: 0.8,
  evaluateEvery: 2,
  guard: { window: 4 },
};

/** Trains a new model in the folder of `run` until `stopAfter`, and returns the bits of its weights. */
async function session(
  run: MemoryRun,
  stopAfter: number,
  dtype: "f32" | "bf16",
  adapted: boolean,
): Promise<Map<string, Uint8Array>> {
  using model = tinyDecoder(dtype);
  if (adapted) addLora(model, { rank: 2, dropout: 0.3 });
  const heldOut = [randomBatch(99, [9])];
  const stage = pretrainStage({ model, batches: randomBatches(), heldOut });
  run.interrupted = false;
  run.stopAfter = stopAfter;
  const { reason } = await train(stage, { ...options, resume: true }, run);
  assert.equal(reason, stopAfter < steps ? "interrupted" : "finished");
  return weightsOf(stage);
}

/** What a run left that was broken off after each of `stops`: every curve, and the weights. */
async function outcome(
  dtype: "f32" | "bf16",
  stops: readonly number[],
  folder: string,
  adapted = false,
): Promise<unknown> {
  const run = new MemoryRun(folder);
  for (const stopAfter of stops) await session(run, stopAfter, dtype, adapted);
  const weights = await session(run, Infinity, dtype, adapted);
  const names = ["loss", "grad_norm", "lr", "tokens", "eval/loss"];
  assert.equal(run.curve("loss").length, steps);
  return { weights, curves: names.map((name) => run.curve(name)) };
}

for (const dtype of ["f32", "bf16"] as const) {
  Deno.test(`a ${dtype} run that stops after any step and resumes has the bits of one that does not`, async () => {
    await withFolder(async (folder) => {
      const whole = await outcome(dtype, [], `${folder}/whole`);
      for (let stop = 1; stop < steps; stop++) {
        const resumed = await outcome(dtype, [stop], `${folder}/${stop}`);
        assert.deepEqual(resumed, whole, `stopped after ${stop}`);
      }
      assert.deepEqual(await outcome(dtype, [1, 2, 3, 4, 5], `${folder}/all`), whole);
    });
  });
}

Deno.test("dropout in adapters goes on where it stopped", async () => {
  await withFolder(async (folder) => {
    const whole = await outcome("f32", [], `${folder}/whole`, true);
    assert.deepEqual(await outcome("f32", [3], `${folder}/resumed`, true), whole);
  });
});
