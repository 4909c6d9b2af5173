import assert from "node:assert/strict";
import { DTypeError, ShapeError, Tensor } from "../../tensor/mod.ts";
import { assertClose, randomTensor, tensorTest } from "../support.ts";

const exact = { absolute: 1e-6, relative: 1e-6 };

tensorTest("rmsNorm divides every row by its root mean square", () => {
  const x = Tensor.from([[3, 4], [-6, 8]]), weight = Tensor.from([1, 10]);
  const row = Math.sqrt(12.5);
  const expected = [3 / row, 40 / row, -3 / row, 40 / row];
  assertClose(x.rmsNorm(weight, 0).data(), expected, exact, "rmsNorm");
});

for (const dtype of ["f32", "bf16"] as const) {
  tensorTest(`addRmsNorm has the same bits as add followed by rmsNorm, ${dtype}`, () => {
    const x = randomTensor([37, 50], 1, dtype), residual = randomTensor([37, 50], 2, dtype);
    const weight = randomTensor([50], 3, dtype);
    const [sum, normed] = x.addRmsNorm(residual, weight);
    assert.deepEqual(sum.data(), x.add(residual).data());
    assert.deepEqual(normed.data(), x.add(residual).rmsNorm(weight).data());
  });
}

tensorTest("addRmsNorm passes gradients through either output alone", () => {
  const gradient = (use: (sum: Tensor, normed: Tensor) => Tensor): ArrayLike<number> => {
    const x = randomTensor([3, 8], 1).requireGrad(), weight = randomTensor([8], 3).requireGrad();
    const [sum, normed] = x.addRmsNorm(randomTensor([3, 8], 2), weight);
    use(sum, normed).backward(randomTensor([3, 8], 4));
    return x.grad!.data();
  };
  const both = gradient((sum, normed) => sum.add(normed));
  const sumOnly = gradient((sum) => sum), normedOnly = gradient((_, normed) => normed);
  const expected = Array.from(sumOnly, (value, i) => value + normedOnly[i]);
  assert.deepEqual(Array.from(sumOnly), Array.from(randomTensor([3, 8], 4).data()));
  assertClose(both, expected, exact, "gradients of both outputs");
});

tensorTest("rmsNorm of a row does not depend on the other rows", () => {
  const x = randomTensor([50, 1000], 1), weight = randomTensor([1000], 2);
  const alone = x.slice(0, 17, 18).rmsNorm(weight).data();
  assert.deepEqual(alone, x.rmsNorm(weight).slice(0, 17, 18).data());
});

tensorTest("the gradient of a bf16 weight is summed in f32 where it has a gradient already", () => {
  // 300 rows that each contribute 1, and one that contributes 1/256: bf16 could not hold the sum.
  const weight = Tensor.ones([1], { dtype: "bf16" }).requireGrad();
  weight.grad = Tensor.zeros([1]);
  const x = Tensor.ones([301, 1], { dtype: "bf16" });
  const seed = Tensor.from([...new Array<number>(300).fill(1), 1 / 256], [301, 1], {
    dtype: "bf16",
  });
  x.rmsNorm(weight, 0).backward(seed);
  assert.equal(weight.grad!.item(), 300 + 1 / 256);
});

tensorTest("a frozen weight gets no gradient", () => {
  const x = randomTensor([3, 8], 1).requireGrad(), weight = randomTensor([8], 2);
  x.rmsNorm(weight).sum().backward();
  assert.equal(weight.grad, null);
  assert.ok(x.grad);
});

tensorTest("rmsNorm names the sizes that do not fit", () => {
  assert.throws(
    () => Tensor.ones([2, 3]).rmsNorm(Tensor.ones([4])),
    (error) => error instanceof ShapeError && /\[4\] and \[2, 3\] \(4 vs 3\)/.test(error.message),
  );
  assert.throws(
    () => Tensor.ones([2, 3]).rmsNorm(Tensor.ones([3], { dtype: "bf16" })),
    DTypeError,
  );
  assert.throws(
    () => Tensor.ones([2, 3]).addRmsNorm(Tensor.ones([3]), Tensor.ones([3])),
    ShapeError,
  );
  assert.throws(() => Tensor.full([], 1).rmsNorm(Tensor.ones([1])), ShapeError);
});
