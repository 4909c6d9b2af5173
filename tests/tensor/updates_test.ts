import assert from "node:assert/strict";
import {
  adamw,
  clipByGlobalNorm,
  clipScale,
  device,
  DTypeError,
  ema,
  globalNorm,
  sgd,
  ShapeError,
  Tensor,
} from "../../tensor/mod.ts";
import { assertClose, randomTensor, tensorTest } from "../support.ts";

const size = 70_001;

tensorTest("adamw writes the bf16 copy of what it wrote to the master weights", () => {
  const master = randomTensor([size], 1), gradient = randomTensor([size], 2);
  const m = Tensor.zeros([size]), v = Tensor.zeros([size]);
  const copy = Tensor.zeros([size], { dtype: "bf16" });
  adamw({ master, gradient, m, v, copy }, { lr: 0.01, step: 1 });
  assert.deepEqual(copy.data(), master.to("bf16").data());
});

tensorTest("adamw decays the first decayCount elements only", () => {
  const master = Tensor.ones([5]), gradient = Tensor.zeros([5]);
  const m = Tensor.zeros([5]), v = Tensor.zeros([5]);
  adamw({ master, gradient, m, v }, { lr: 0.5, weightDecay: 0.5, decayCount: 2, step: 1 });
  assert.deepEqual([...master.data()], [0.75, 0.75, 1, 1, 1]);
});

tensorTest("a step in place has the same bits for any number of threads", () => {
  const before = device().threads;
  const [one, ...others] = [1, 2, 3].map((threads) => {
    device().threads = threads;
    const master = randomTensor([size], 1), m = Tensor.zeros([size]), v = Tensor.zeros([size]);
    for (let step = 1; step <= 3; step++) {
      adamw({ master, gradient: randomTensor([size], step), m, v }, { lr: 0.01, step });
    }
    return [...master.data(), ...m.data(), ...v.data()];
  });
  device().threads = before;
  for (const other of others) assert.deepEqual(other, one);
});

tensorTest("gradScale clips in the step as clipByGlobalNorm does before it", () => {
  const run = (clip: (gradient: Tensor) => number): Tensor => {
    const master = randomTensor([100], 1), gradient = randomTensor([100], 2);
    const velocity = Tensor.zeros([100]), gradScale = clip(gradient);
    sgd({ master, gradient, velocity }, { lr: 0.5, momentum: 0.9, gradScale });
    return master;
  };
  const folded = run((gradient) => clipScale(globalNorm(gradient), 1));
  const before = run((gradient) => {
    clipByGlobalNorm(gradient, 1);
    return 1;
  });
  assertClose(folded.data(), before.data(), { absolute: 1e-6, relative: 1e-6 }, "weights");
});

tensorTest("clipping leaves a short gradient as it is", () => {
  const gradient = randomTensor([100], 2), values = gradient.data();
  const norm = clipByGlobalNorm(gradient, 1000);
  assert.ok(norm > 0 && norm < 1000);
  assert.deepEqual(gradient.data(), values);
});

tensorTest("a gradient that is not finite shows in the norm, and is not scaled", () => {
  for (const bad of [NaN, Infinity, -Infinity]) {
    const gradient = randomTensor([size], 3);
    gradient.slice(0, size - 1).assign(Tensor.from([bad]));
    const values = gradient.data();
    assert.equal(Number.isFinite(clipByGlobalNorm(gradient, 1)), false);
    assert.deepEqual(gradient.data(), values);
  }
});

tensorTest("the norm of large and small numbers neither overflows nor underflows", () => {
  assert.ok(Math.abs(globalNorm(Tensor.from(Array(4).fill(2 ** 120))) / 2 ** 121 - 1) < 1e-6);
  assert.ok(Math.abs(globalNorm(Tensor.from(Array(4).fill(2 ** -120))) / 2 ** -119 - 1) < 1e-6);
  assert.equal(globalNorm(Tensor.zeros([0])), 0);
});

tensorTest("the norm of many equal numbers is exact", () => {
  const count = 1 << 20;
  assert.equal(globalNorm(Tensor.full([count], 0.5)), 0.5 * Math.sqrt(count));
});

tensorTest("ema moves the average in place and stays where both are equal", () => {
  const average = Tensor.full([size], 0.1), values = Tensor.full([size], 0.1);
  const bits = average.data();
  ema(average, values, 0.999);
  assert.deepEqual(average.data(), bits);
  ema(average, Tensor.ones([size]), 0);
  assert.deepEqual(average.data(), Tensor.ones([size]).data());
});

tensorTest("arenas that differ are refused, and nothing is changed", () => {
  const master = Tensor.ones([4]), m = Tensor.zeros([4]), v = Tensor.zeros([4]);
  const options = { lr: 1, step: 1 };
  const error = { name: "ShapeError", message: /master and gradient differ, \[4\] and \[5\]/ };
  assert.throws(() => adamw({ master, gradient: Tensor.ones([5]), m, v }, options), error);
  assert.throws(
    () => adamw({ master, gradient: Tensor.ones([4], { dtype: "bf16" }), m, v }, options),
    DTypeError,
  );
  const copy = Tensor.zeros([3], { dtype: "bf16" }), gradient = Tensor.ones([4]);
  assert.throws(() => adamw({ master, gradient, m, v, copy }, options), ShapeError);
  assert.throws(() => sgd({ master, gradient }, { lr: 1, momentum: 0.9 }), TypeError);
  assert.deepEqual([...master.data()], [1, 1, 1, 1]);
});
