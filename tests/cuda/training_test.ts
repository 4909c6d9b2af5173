import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { cudaTest } from "./support.ts";

/** The losses of 20 steps on a device. */
async function train(device: "cpu" | "cuda", dtype: "f32" | "bf16"): Promise<number[]> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", fileURLToPath(new URL("./training.ts", import.meta.url)), dtype],
    env: { DENOTRON_DEVICE: device },
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

for (const [dtype, tolerance] of [["f32", 1e-3], ["bf16", 5e-2]] as const) {
  cudaTest(
    `20 steps of training in ${dtype} have the losses that they have on the CPU`,
    async () => {
      const [cpu, cuda] = [await train("cpu", dtype), await train("cuda", dtype)];
      assert.equal(cuda.length, 20);
      assert.ok(cpu[19] < 0.8 * cpu[0], `the CPU learns nothing: ${cpu}`);
      cuda.forEach((loss, step) => {
        const difference = Math.abs(loss - cpu[step]);
        assert.ok(
          difference <= tolerance * cpu[step],
          `step ${step}: ${loss}, on the CPU ${cpu[step]}`,
        );
      });
    },
  );
}
