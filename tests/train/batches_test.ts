/**
 * Sources made of others, and blends of fine-tuning.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  batchesInTurn,
  batchRamp,
  type BatchSource,
  constantSchedule,
  linearSchedule,
  rampedBatches,
  sftBlends,
  sftStage,
  train,
} from "../../train/mod.ts";
import {
  MemoryRun,
  numberedBatches,
  randomBatch,
  randomBatches,
  tinyDecoder,
  weightsOf,
} from "./support.ts";

const letters = (prefix: string, steps?: number): BatchSource<string> =>
  numberedBatches((draw) => `${prefix}${draw}`, 1, steps);

/** What a source gives until it ends or `steps` are made; after each step a fresh one goes on from its state. */
async function drawn<B>(make: () => BatchSource<B>, steps: number, anew: boolean): Promise<B[][]> {
  const all: B[][] = [];
  let source = make();
  for (let step = 1; step <= steps; step++) {
    const found = await source.next(step);
    if (found === null) break;
    all.push([...found]);
    if (!anew) continue;
    const state = JSON.parse(JSON.stringify(source.state()));
    source = make();
    source.restore(state);
  }
  return all;
}

for (const anew of [false, true]) {
  const how = anew ? ", restored after each step" : "";

  Deno.test(`two distributions follow each other at the step that is asked for${how}`, async () => {
    const make = () =>
      batchesInTurn([
        { steps: 3, batches: letters("a") },
        { steps: 9, batches: letters("b", 2) },
      ]);
    assert.deepEqual((await drawn(make, 20, anew)).flat(), ["a0", "a1", "a2", "b0", "b1"]);
  });

  Deno.test(`a batch that grows takes more micro-batches, and what is left over last${how}`, async () => {
    const ramp = batchRamp([{ microBatches: 1, tokens: 20 }, { microBatches: 3, tokens: 20 }], 10);
    const make = () => rampedBatches(letters("a", 6), ramp);
    const expected = [["a0"], ["a1"], ["a2", "a3", "a4"], ["a5"]];
    assert.deepEqual(await drawn(make, 20, anew), expected);
  });
}

Deno.test("a part that ends before its steps are made is an error with both numbers", async () => {
  const source = batchesInTurn([
    { steps: 3, batches: letters("a", 2) },
    { steps: 3, batches: letters("b") },
  ]);
  await assert.rejects(drawn(() => source, 9, false), {
    name: "RangeError",
    message: "batchesInTurn: part 1 of 2 has no more batches, at its step 3 (3 needed). " +
      "Let it repeat, or give it fewer steps.",
  });
});

Deno.test("blends of fine-tuning train as separate runs do that begin with a new optimizer", async () => {
  const first = { steps: 3, schedule: constantSchedule({ peak: 1e-2 }) };
  const second = { steps: 4, schedule: linearSchedule({ peak: 5e-3, steps: 4 }) };
  const other = () => numberedBatches((draw) => randomBatch(500 + draw, [7, 7]));

  using blended = tinyDecoder();
  const plan = sftBlends([
    { ...first, batches: randomBatches() },
    { ...second, batches: other(), resetOptimizer: true },
  ]);
  assert.deepEqual([plan.steps, plan.resetOptimizerAt], [7, [4]]);
  await train(sftStage({ model: blended, batches: plan.batches }), plan, new MemoryRun());

  using separate = tinyDecoder();
  for (const [part, batches] of [[first, randomBatches()], [second, other()]] as const) {
    const options = { steps: part.steps, lr: part.schedule };
    await train(sftStage({ model: separate, batches }), options, new MemoryRun());
  }
  assert.deepEqual(weightsOf({ model: blended }), weightsOf({ model: separate }));
});
