import assert from "node:assert/strict";
import { describeGpu, inspectGpu } from "../../cli/gpu.ts";
import { cudaTest } from "./support.ts";

cudaTest("the doctor tells which library computes what, in which version, and why", () => {
  const findings = inspectGpu(), rows = describeGpu(findings);
  assert.notEqual(findings.cuda, null, findings.why);
  const text = rows.map(([name, value]) => `${name} ${value}`).join("\n");
  assert.match(text, /^products by cuBLAS \d+\.\d+\.\d+ at \//m);
  assert.match(text, /8-bit floats(, which need| by cuBLASLt \d+\.\d+\.\d+ at \/)/);
  assert.match(
    text,
    /^attention by (cuDNN 9\.\d+\.\d+ at \/.*agrees with ours|kernels of our own: )/m,
  );
  assert.match(text, /^several GPUs (exchange by NCCL \d+\.\d+\.\d+ at \/|cannot exchange)/m);
});
