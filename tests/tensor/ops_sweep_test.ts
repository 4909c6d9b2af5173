import assert from "node:assert/strict";
import { allOps } from "../../tensor/backend/cpu_kernels.ts";
import { device, type DType } from "../../tensor/mod.ts";
import { tensorTest } from "../support.ts";
import { checkDisposal, checkGradient, checkKernel, checkThreads, title } from "./sweep.ts";

const types: readonly DType[] = ["f32", "bf16"];

Deno.test("every op has samples", () => {
  for (const op of allOps()) assert.ok(op.samples.length > 0, `${op.name} has no samples`);
});

for (const op of allOps()) {
  for (const sample of op.samples) {
    const name = title(op, sample);
    if (op.vjp) {
      tensorTest(
        `${name}: its gradient matches finite differences`,
        () => checkGradient(op, sample),
      );
      tensorTest(
        `${name}: disposing its inputs does not break backward`,
        () => checkDisposal(op, sample),
      );
    }
    for (const dtype of types) {
      tensorTest(
        `${name}: ${dtype} agrees with the reference`,
        () => checkKernel(op, sample, dtype),
      );
      tensorTest(`${name}: ${dtype} has the same bits for any number of threads`, () => {
        const before = device().threads;
        checkThreads(op, sample, dtype, (threads) => device().threads = threads);
        device().threads = before;
      });
    }
  }
}
