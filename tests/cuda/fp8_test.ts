import assert from "node:assert/strict";
import { NativeError } from "../../ffi/mod.ts";
import { Linear, WeightCopy } from "../../nn/mod.ts";
import { CudaBackend } from "../../tensor/backend/cuda.ts";
import { DeviceError, scope, Tensor } from "../../tensor/mod.ts";
import { linearFp8 } from "../../tensor/ops/fp8.ts";
import { uniforms } from "../support.ts";
import { cudaTest, withEnvironment } from "./support.ts";

const simulated = { simulated: true };

/** Reproducible numbers in [-1, 1). */
function numbers(shape: readonly number[], seed: number): Tensor {
  const next = uniforms(seed), size = shape.reduce((a, b) => a * b, 1);
  const values = Float64Array.from({ length: size }, () => 2 * next() - 1);
  return Tensor.from(values, shape, { dtype: "bf16", device: "cuda" });
}

const squares = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((sum, x) => sum + x * x, 0);

/** Runs linearFp8 on whatever memory holds. */
function multiply(backend: CudaBackend): void {
  const view = (shape: readonly number[], dtype: "bf16" | "e4m3" | "f32") => ({
    storage: backend.allocate(4096),
    shape,
    dtype,
    offset: 0,
    strides: shape.length === 1 ? [1] : [shape[1], 1],
  });
  const inputs = [view([2, 16], "bf16"), view([16, 16], "e4m3"), view([16], "f32")];
  const output = view([2, 16], "bf16");
  try {
    backend.run(linearFp8, inputs, [output], { wide: false });
  } finally {
    for (const { storage } of [...inputs, output]) storage.release();
  }
}

cudaTest("a copy of weights in fp8 multiplies like the layers, to a few percent", () => {
  scope(() => {
    const layers = [new Linear(numbers([24, 70], 1)), new Linear(numbers([9, 70], 2))];
    const x = numbers([2, 5, 70], 3);
    const expected = Tensor.concat(layers.map((layer) => layer.forward(x)), -1).to("f32");
    using copy = new WeightCopy(layers, "fp8");
    const y = copy.forward(x), wide = copy.forwardWide(x.reshape([10, 70]));
    assert.deepEqual([y.shape, y.dtype, wide.dtype], [[2, 5, 33], "bf16", "f32"]);
    const size = Math.sqrt(squares(expected.data()) / expected.size);
    for (const z of [y, wide]) {
      const difference = z.to("f32").reshape([-1]).sub(expected.reshape([-1]));
      assert.ok(Math.sqrt(squares(difference.data()) / expected.size) < 0.05 * size);
    }
  });
});

cudaTest("a device without products of 8-bit floats refuses them with the reason", () => {
  withEnvironment({ CUDASIM_CAPABILITY: "86" }, () => {
    const backend = new CudaBackend();
    assert.equal(backend.description.cublasLt, null);
    assert.throws(() => multiply(backend), (error) =>
      error instanceof DeviceError &&
      /linearFp8: .*compute capability 8.6 \(8.9 is needed\)\. Use int8/.test(error.message));
  });
}, simulated);

cudaTest("a product that cuBLASLt refuses is an error that names it", () => {
  withEnvironment({ CUDASIM_FAIL: "cublasLtMatmul=13" }, () => {
    assert.throws(
      () => multiply(new CudaBackend()),
      (error) =>
        error instanceof NativeError && error.code === 13 &&
        /cublasLtMatmul\(16, 2, 16\).*EXECUTION_FAILED/.test(error.message),
    );
  });
}, simulated);

Deno.test("weights in fp8 are refused on the CPU", () => {
  scope(() => {
    const layer = new Linear(Tensor.ones([2, 3], { device: "cpu" }));
    assert.throws(
      () => new WeightCopy([layer], "fp8"),
      (error) =>
        error instanceof DeviceError && /"cpu" has no products of 8-bit floats/.test(error.message),
    );
  });
});
