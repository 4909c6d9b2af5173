import assert from "node:assert/strict";
import { DTypeError, ShapeError, Tensor } from "../../tensor/mod.ts";
import { assertClose, randomTensor, tensorTest } from "../support.ts";

tensorTest("swiglu is silu of the gate times the other half", () => {
  const gate = randomTensor([5, 33], 1).requireGrad(), up = randomTensor([5, 33], 2).requireGrad();
  const gate2 = gate.detach().requireGrad(), up2 = up.detach().requireGrad();
  const seed = randomTensor([5, 33], 3), close = { absolute: 1e-6, relative: 1e-6 };
  const fused = gate.swiglu(up), composed = gate2.silu().mul(up2);
  assertClose(fused.data(), composed.data(), close, "outputs");
  fused.backward(seed);
  composed.backward(seed);
  assertClose(gate.grad!.data(), gate2.grad!.data(), close, "gradient of the gate");
  assertClose(up.grad!.data(), up2.grad!.data(), close, "gradient of the other half");
});

tensorTest("swiglu of large numbers stays finite", () => {
  const gate = Tensor.from([-1e4, 1e4]).requireGrad();
  const out = gate.swiglu(Tensor.from([2, 2]));
  assert.deepEqual(Array.from(out.data(), (x) => x + 0), [0, 2e4]);
  out.sum().backward();
  assert.deepEqual(Array.from(gate.grad!.data(), (x) => x + 0), [0, 2]);
});

tensorTest("swiglu needs two halves of one shape and type", () => {
  assert.throws(() => Tensor.ones([2]).swiglu(Tensor.ones([3])), ShapeError);
  assert.throws(() => Tensor.ones([2]).swiglu(Tensor.ones([2], { dtype: "bf16" })), DTypeError);
  const integers = Tensor.ones([2], { dtype: "i32" });
  assert.throws(() => integers.swiglu(integers), DTypeError);
});
