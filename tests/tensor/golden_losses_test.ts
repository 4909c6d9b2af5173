/**
 * Losses and optimizers against PyTorch: `tests/golden/losses.py` wrote the numbers.
 *
 * @module
 */
import assert from "node:assert/strict";
import { adamw, sgd, Tensor } from "../../tensor/mod.ts";
import { assertClose, tensorTest, type Tolerance } from "../support.ts";
import golden from "../golden/losses.json" with { type: "json" };

const close: Tolerance = { absolute: 2e-6, relative: 2e-6 };

tensorTest("adamw takes the steps of torch.optim.AdamW", () => {
  const { start, gradients, adamw: { options, path } } = golden.optimizers;
  const master = Tensor.from(start), m = Tensor.zeros([8]), v = Tensor.zeros([8]);
  gradients.forEach((values, i) => {
    const gradient = Tensor.from(values);
    adamw({ master, gradient, m, v }, { ...options, decayCount: 4, step: i + 1 });
    assertClose(master.data(), path[i], close, `step ${i + 1}`);
  });
});

tensorTest("sgd takes the steps of torch.optim.SGD", () => {
  const { start, gradients, sgd: cases } = golden.optimizers;
  assert.equal(cases.length, 3);
  for (const { options, path } of cases) {
    const master = Tensor.from(start), velocity = Tensor.zeros([8]);
    const arena = options.momentum === 0 ? { master } : { master, velocity };
    gradients.forEach((values, i) => {
      sgd({ ...arena, gradient: Tensor.from(values) }, { ...options, decayCount: 4 });
      assertClose(master.data(), path[i], close, `${JSON.stringify(options)} step ${i + 1}`);
    });
  }
});
