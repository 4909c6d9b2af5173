import assert from "node:assert/strict";
import { CudaBackend } from "../../tensor/backend/cuda.ts";
import { matmul } from "../../tensor/ops/mod.ts";
import { assertClose, uniforms } from "../support.ts";
import { cudaTest, withEnvironment } from "./support.ts";
import { makeView, numbersOf } from "./views.ts";

/** A product of random [size, size] matrices by a backend of its own, with or without TF32. */
function product(size: number, dtype: "f32" | "bf16", allowTf32: boolean): number[] {
  return withEnvironment({ DENOTRON_TF32: allowTf32 ? "1" : "" }, () => {
    const on = new CudaBackend(), next = uniforms(5), shape = [size, size];
    const random = () => Float32Array.from({ length: size * size }, () => 2 * next() - 1);
    const [a, b, c] = [random(), random(), new Float32Array(size * size)]
      .map((values) => makeView(on, shape, dtype, values));
    on.run(matmul, [a, b], [c], {});
    const result = numbersOf(on, c);
    for (const { storage } of [a, b, c]) storage.release();
    return result;
  });
}

cudaTest("f32 factors are rounded to TF32 only where it is allowed", () => {
  const exact = product(64, "f32", false), rounded = product(64, "f32", true);
  assertClose(rounded, exact, { absolute: 64 * 2 ** -10, relative: 0 }, "TF32");
  assert.notDeepEqual(rounded, exact);
});

cudaTest("TF32 changes nothing of bf16 products", () => {
  assert.deepEqual(product(16, "bf16", true), product(16, "bf16", false));
});
