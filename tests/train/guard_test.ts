/**
 * Which steps the guard leaves out.
 *
 * @module
 */
import assert from "node:assert/strict";
import { DivergedError, StepGuard } from "../../train/mod.ts";

/** Losses around 3. */
const noisy = (step: number): number => 3 + 0.1 * Math.sin(7 * step);

Deno.test("the guard lets noise pass, and finds losses and gradients that are not finite", () => {
  const guard = new StepGuard();
  for (let step = 0; step < 100; step++) assert.equal(guard.check(noisy(step), 1), null);
  assert.equal(guard.check(NaN, 1), "the loss is NaN");
  assert.equal(guard.check(3, Infinity), "the gradient norm is Infinity");
  assert.equal(guard.check(3, 1), null);
});

Deno.test("a spike is found against the median of recent losses, once there are enough of them", () => {
  const guard = new StepGuard({ window: 8 });
  assert.equal(guard.check(50, 1), null, "nothing to compare with yet");
  for (let step = 0; step < 20; step++) guard.check(noisy(step), 1);
  assert.match(guard.check(6, 1)!, /^the loss is 6\.000, far above its median [23]\.\d+/);
  assert.equal(guard.check(2, 1), null, "a low loss is welcome");
  const lenient = new StepGuard({ window: 2, spikeFactor: Infinity });
  for (const loss of [1, 1, 1, 1e6]) assert.equal(lenient.check(loss, 1), null);
});

Deno.test("losses near zero, and losses that hardly change, have no spikes among them", () => {
  for (const [usual, higher] of [[0.001, 0.3], [2, 2.9]]) {
    const guard = new StepGuard({ window: 8 });
    for (let step = 0; step < 50; step++) {
      assert.equal(guard.check(step % 9 === 0 ? higher : usual, 1), null);
    }
  }
});

Deno.test("a loss that stays high is the normal one after half a window", () => {
  const guard = new StepGuard({ window: 8 });
  for (let step = 0; step < 8; step++) guard.check(noisy(step), 1);
  const reasons = Array.from({ length: 8 }, (_, step) => guard.check(9 + noisy(step), 1));
  assert.ok(reasons[0] !== null && reasons[4] === null && reasons[7] === null);
});

Deno.test("too many steps left out in a row are an error that says what to do", () => {
  const guard = new StepGuard({ maxSkips: 3 });
  for (const loss of [NaN, NaN, 1, NaN, NaN]) guard.check(loss, 1);
  assert.throws(() => guard.check(NaN, 1), (error: Error) => {
    assert.ok(error instanceof DivergedError);
    assert.equal(
      error.message,
      "train: the loss is NaN, and 3 steps in a row were left out (3 allowed). " +
        "Lower the learning rate, or look at the data.",
    );
    return true;
  });
});

Deno.test("a guard restored from JSON decides as the one it was saved from", () => {
  const guard = new StepGuard({ window: 8 });
  for (let step = 0; step < 30; step++) guard.check(noisy(step), 1);
  guard.check(NaN, 1);
  const other = new StepGuard({ window: 8 });
  other.restore(JSON.parse(JSON.stringify(guard.state())));
  for (const loss of [3.05, 4, 20, NaN, 3]) {
    assert.equal(other.check(loss, 1), guard.check(loss, 1));
  }
});
