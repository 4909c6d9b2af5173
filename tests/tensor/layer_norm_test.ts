import assert from "node:assert/strict";
import { DTypeError, ShapeError, Tensor } from "../../tensor/mod.ts";
import { assertClose, randomTensor, tensorTest } from "../support.ts";

const close = { absolute: 2e-6, relative: 2e-6 };

tensorTest("layerNorm gives every row mean 0 and deviation 1, then applies weight and bias", () => {
  const x = Tensor.from([[1, 2, 3, 4]]), weight = Tensor.from([1, 1, 2, 2]);
  const bias = Tensor.from([0, 0, 0, 5]), step = 0.5 / Math.sqrt(1.25);
  const expected = [-3 * step, -step, 2 * step, 6 * step + 5];
  assertClose(x.layerNorm(weight, bias, 0).data(), expected, close, "layerNorm");
});

tensorTest("weights around 0 give the same as weights around 1, gradients too", () => {
  const run = (onePlus: boolean): ArrayLike<number>[] => {
    const x = randomTensor([9, 40], 1).requireGrad(), bias = randomTensor([40], 3).requireGrad();
    const stored = randomTensor([40], 2);
    const weight = (onePlus ? stored : stored.add(1)).detach().requireGrad();
    const y = x.layerNorm(weight, bias, 1e-5, { onePlus });
    y.backward(randomTensor([9, 40], 4));
    return [y, x.grad!, weight.grad!, bias.grad!].map((tensor) => tensor.data());
  };
  const plain = run(false);
  run(true).forEach((values, i) => assertClose(values, plain[i], close, `tensor ${i}`));
});

tensorTest("a large common offset does not swallow the deviations", () => {
  const x = Tensor.from([[4096.5, 4097.5, 4095.5, 4096.5]]);
  const y = x.layerNorm(Tensor.ones([4]), Tensor.zeros([4]), 0);
  assertClose(y.data(), [0, Math.SQRT2, -Math.SQRT2, 0], close, "layerNorm");
});

tensorTest("layerNorm of a row does not depend on the other rows", () => {
  const x = randomTensor([50, 1000], 1), weight = randomTensor([1000], 2);
  const alone = x.slice(0, 17, 18).layerNorm(weight, weight);
  assert.deepEqual(alone.data(), x.layerNorm(weight, weight).slice(0, 17, 18).data());
});

tensorTest("a frozen weight beside a trained bias gets no gradient", () => {
  const x = randomTensor([3, 8], 1), weight = randomTensor([8], 2);
  const bias = Tensor.zeros([8]).requireGrad();
  x.layerNorm(weight, bias).sum().backward();
  assert.equal(weight.grad, null);
  assert.deepEqual(Array.from(bias.grad!.data()), new Array(8).fill(3));
});

tensorTest("layerNorm names the weight that does not fit", () => {
  const x = Tensor.ones([2, 3]), three = Tensor.ones([3]);
  const bias = Tensor.ones([4]);
  assert.throws(
    () => x.layerNorm(three, bias),
    (error) => error instanceof ShapeError && /the bias .* \(4 vs 3\)/.test(error.message),
  );
  assert.throws(() => x.layerNorm(three.to("bf16"), three), DTypeError);
});
