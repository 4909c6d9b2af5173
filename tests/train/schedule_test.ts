/**
 * Schedules against their closed forms.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  batchRamp,
  constantSchedule,
  cosineSchedule,
  linearSchedule,
  type Schedule,
  schedulesInTurn,
  steepSchedule,
  wsdSchedule,
} from "../../train/mod.ts";

const peak = 3e-3, end = 2e-4, warmup = 7, steps = 50;
const all = Array.from({ length: steps }, (_, i) => i + 1);
const common = { peak, end, warmup, steps };

function assertFollows(schedule: Schedule, expected: Schedule): void {
  for (const step of all) {
    assert.ok(Math.abs(schedule(step) - expected(step)) < 1e-15, `step ${step}`);
  }
}

/** The share of the steps after the warm-up that are made before `step`. */
const t = (step: number): number => (step - warmup - 1) / (steps - warmup);
const rising = (falling: Schedule): Schedule => (step) =>
  step <= warmup ? peak * step / (warmup + 1) : falling(step);

Deno.test("schedules warm up in a straight line, and then follow their formulas", () => {
  assertFollows(constantSchedule({ peak, warmup }), rising(() => peak));
  assertFollows(
    cosineSchedule(common),
    rising((step) => (peak + end) / 2 + (peak - end) / 2 * Math.cos(Math.PI * t(step))),
  );
  assertFollows(linearSchedule(common), rising((step) => peak + (end - peak) * t(step)));
  assertFollows(
    steepSchedule({ ...common, power: 3 }),
    rising((step) => end + (peak - end) * (1 - t(step)) ** 3),
  );
  const stable = 40;
  assertFollows(
    wsdSchedule({ ...common, decaySteps: steps - stable }),
    rising((step) =>
      step <= stable ? peak : peak + (end - peak) * (step - stable - 1) / (steps - stable)
    ),
  );
});

Deno.test("no schedule jumps where it begins to fall, and none falls below its end", () => {
  const schedules = [
    cosineSchedule(common),
    linearSchedule(common),
    steepSchedule(common),
    wsdSchedule({ ...common, decaySteps: 20 }),
  ];
  for (const schedule of schedules) {
    assert.equal(schedule(warmup + 1), peak);
    assert.ok(schedule(steps) > end && schedule(steps + 1) === end && schedule(10 * steps) === end);
    for (const step of all.slice(warmup + 1)) assert.ok(schedule(step) <= schedule(step - 1));
  }
});

Deno.test("a steep schedule falls faster than a line, and more so at its beginning than at its end", () => {
  const steep = steepSchedule({ peak: 1, steps: 100 });
  const slope = (step: number): number => steep(step) - steep(step + 1);
  assert.ok(steep(50) < linearSchedule({ peak: 1, steps: 100 })(50));
  assert.ok(slope(1) > 5 * slope(90));
});

Deno.test("schedules in turn count from 1 in each part, and the last one goes on", () => {
  const parts = [
    { steps: 3, schedule: (step: number) => step },
    { steps: 2, schedule: (step: number) => 10 * step },
  ];
  assert.deepEqual([1, 2, 3, 4, 5, 6].map(schedulesInTurn(parts)), [1, 2, 3, 10, 20, 30]);
});

Deno.test("batches grow as those of Nemotron-4 15B", () => {
  const billion = 1e9, sequence = 4096;
  const phases = [
    { microBatches: 384, tokens: 200 * billion },
    { microBatches: 768, tokens: 200 * billion },
    { microBatches: 1152, tokens: 7600 * billion },
  ];
  const size = batchRamp(phases, sequence);
  let tokens = 0;
  const seen = new Map<number, number>();
  for (let step = 1; tokens < 1000 * billion; step++) {
    if (!seen.has(size(step))) seen.set(size(step), tokens);
    tokens += size(step) * sequence;
  }
  const [first, second, third] = [...seen.entries()];
  assert.deepEqual([first[0], second[0], third[0]], [384, 768, 1152]);
  assert.ok(Math.abs(second[1] - 200 * billion) < 384 * sequence);
  assert.ok(Math.abs(third[1] - 400 * billion) < 2 * 768 * sequence);
});
