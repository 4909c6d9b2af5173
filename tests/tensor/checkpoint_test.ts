import assert from "node:assert/strict";
import {
  checkpoint,
  device,
  type DType,
  GradError,
  noGrad,
  RandomKey,
  scope,
  Tensor,
} from "../../tensor/mod.ts";
import { randomTensor, tensorTest } from "../support.ts";

/** x + relu2(x·W₁ᵀ)·W₂ᵀ: a feed-forward block with its residual. x: [rows, width] */
const feedForward = (x: Tensor, up: Tensor, down: Tensor): Tensor =>
  x.add(x.linear(up).relu2().linear(down));

/** Loss and gradients of four blocks in a row, as text: equal text is equal bits. */
function gradients(dtype: DType, saving: boolean, key?: RandomKey): string {
  const x = randomTensor([5, 8], 1, dtype).requireGrad();
  const [up, down] = [2, 3].map((seed) => randomTensor([8, 8], seed, dtype).requireGrad());
  let hidden = x.mul(0.5);
  for (let layer = 0; layer < 4; layer++) {
    const block = (input: Tensor): Tensor => {
      const y = feedForward(input, up, down);
      return key ? y.dropout(0.5, key.derive(layer)) : y;
    };
    hidden = saving ? checkpoint(block, hidden) : block(hidden);
  }
  const loss = hidden.mul(hidden).mean();
  loss.backward();
  return [loss, x.grad!, up.grad!, down.grad!].map((y) => y.data().join()).join("\n");
}

for (const dtype of ["f32", "bf16"] as const) {
  tensorTest(`checkpoints change no bit of a loss and its gradients in ${dtype}`, () => {
    assert.equal(gradients(dtype, true), gradients(dtype, false));
  });
}

tensorTest("dropout by key is the same when a checkpoint runs again", () => {
  const key = new RandomKey(7);
  assert.equal(gradients("f32", true, key), gradients("f32", false, key));
  assert.notEqual(gradients("f32", true, key), gradients("f32", true));
});

/** The most memory that a step over `layers` blocks holds at once, in bytes. */
function peak(layers: number, saving: boolean): number {
  const weights = [1, 2].map((seed) => randomTensor([16, 16], seed).requireGrad());
  device().resetPeak();
  const before = device().memory.peak;
  scope(() => {
    let hidden = Tensor.ones([128, 16]); // 8 KiB
    for (let layer = 0; layer < layers; layer++) {
      const block = (input: Tensor): Tensor =>
        scope(() => {
          let y = input;
          for (let i = 0; i < 4; i++) y = feedForward(y, weights[0], weights[1]).tanh();
          return y;
        });
      hidden = saving ? checkpoint(block, hidden) : block(hidden);
    }
    hidden.mean().backward();
  });
  return device().memory.peak - before;
}

tensorTest("checkpoints keep one tensor for each block instead of all that it computes", () => {
  const activation = 128 * 16 * 4;
  const plain = (peak(12, false) - peak(4, false)) / 8;
  const saving = (peak(12, true) - peak(4, true)) / 8;
  assert.ok(plain >= 8 * activation, `${plain} bytes for each block without checkpoints`);
  assert.equal(saving, activation);
});

tensorTest(
  "several inputs, views of them, and inputs without gradients go through a checkpoint",
  () => {
    const run = (through: typeof checkpoint): string =>
      scope(() => {
        const a = randomTensor([3, 4], 1).requireGrad(), b = randomTensor([4], 2).requireGrad();
        const scale = randomTensor([3, 4], 3);
        const y = through((p, q, s) => p.mul(q).mul(s).t(), a.slice(0, 0, 3), b, scale);
        y.mul(y).sum().backward();
        assert.equal(scale.grad, null);
        return `${a.grad!.data()} ${b.grad!.data()}`;
      });
    assert.equal(run(checkpoint), run((body, ...inputs) => body(...inputs)));
  },
);

tensorTest("checkpoints nest", () => {
  const run = (through: typeof checkpoint): string =>
    scope(() => {
      const x = randomTensor([4], 1).requireGrad();
      const inner = (y: Tensor): Tensor => through((z) => z.tanh().mul(z), y.mul(0.5)).exp();
      through((y) => inner(inner(y)), x).sum().backward();
      return x.grad!.data().join();
    });
  assert.equal(run(checkpoint), run((body, ...inputs) => body(...inputs)));
});

tensorTest("a body that returns its input, or a parameter, is fine", () => {
  const x = Tensor.from([1, 2]).requireGrad(), weight = Tensor.from([3, 4]).requireGrad();
  checkpoint((y) => y, x).mul(checkpoint(() => weight)).sum().backward();
  assert.deepEqual([...x.grad!.data()], [3, 4]);
  assert.deepEqual([...weight.grad!.data()], [1, 2]);
  assert.ok(!x.disposed && !weight.disposed);
});

tensorTest("without anything that requires a gradient nothing is recorded", () => {
  const x = Tensor.ones([2]), weight = Tensor.ones([2]).requireGrad();
  assert.ok(!checkpoint((y) => y.exp(), x).requiresGrad);
  assert.ok(!noGrad(() => checkpoint((y) => y.mul(weight), x)).requiresGrad);
  assert.ok(checkpoint((y) => y.mul(weight), x).requiresGrad);
});

tensorTest("a checkpoint that nobody goes back through leaves nothing behind", () => {
  const before = device().memory.blocks;
  scope(() => {
    const x = Tensor.ones([100]).requireGrad();
    checkpoint((y) => y.exp().mul(y), x);
  });
  assert.equal(device().memory.blocks, before);
});

tensorTest("a body that uses a computed tensor it was not given is refused at once", () => {
  const x = Tensor.ones([2, 3]).requireGrad(), computed = x.mul(2), constant = Tensor.ones([3]);
  assert.throws(() => checkpoint((y) => y.add(computed), x), {
    name: "GradError",
    message: "checkpoint: body uses [2, 3], computed by mul, which it was not given. " +
      "Pass it as an input.",
  });
  checkpoint((y, z) => y.add(z).mul(constant), x, computed).sum().backward();
  assert.deepEqual([...x.grad!.data()], Array(6).fill(3));
});

tensorTest("a body that computes something else the second time fails in backward()", () => {
  const x = Tensor.ones([4]).requireGrad();
  let runs = 0;
  const y = checkpoint((z) => z.slice(0, runs++).exp(), x);
  assert.throws(() => y.sum().backward(), {
    name: "GradError",
    message: "checkpoint: body made [4] f32, and [3] f32 when it ran again. " +
      "It must compute the same both times.",
  });
});

tensorTest("an error in the body passes through, the first time and the second", () => {
  const x = Tensor.ones([4]).requireGrad(), failure = new Error("on purpose");
  const fail = (): never => {
    throw failure;
  };
  assert.throws(() => checkpoint((y) => y.exp() && fail(), x), failure);
  let runs = 0;
  const y = checkpoint((z) => runs++ === 0 ? z.exp() : fail(), x);
  assert.throws(() => y.sum().backward(), failure);
  assert.throws(() => checkpoint((y) => Promise.resolve(y) as never, x), TypeError);
  x.exp().sum().backward(); // recording goes on as before
  assert.ok(x.grad);
});

tensorTest("a second backward() through a checkpoint says so", () => {
  const y = checkpoint((x) => x.exp(), Tensor.ones([]).requireGrad());
  y.backward();
  assert.throws(() => y.backward(), GradError);
});
