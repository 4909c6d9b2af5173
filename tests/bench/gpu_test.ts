import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { memoryCases, otherwiseBound } from "../../bench/gpu/memory_cases.ts";
import { fullSizes } from "../../bench/gpu/sizes.ts";
import { allOps } from "../../tensor/backend/cpu_kernels.ts";

Deno.test("every op with a CUDA kernel is in the GPU bench, or said to be bound by other things", () => {
  const measured = new Set(memoryCases(fullSizes).map(({ op }) => op.name));
  const left = allOps().filter(({ name, kernel }) =>
    kernel?.cuda && !measured.has(name) && !otherwiseBound.has(name)
  );
  assert.deepEqual(left.map(({ name }) => name), []);
});

Deno.test("rows of the GPU bench have names of their own", () => {
  const names = memoryCases(fullSizes).map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
});

Deno.test("without a GPU its bench says so and what to do, and ends with 2", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      fileURLToPath(new URL("../../bench/cli.ts", import.meta.url)),
      "gpu",
      "--json",
    ],
    env: { DENOTRON_LIBCUDA: "/nowhere/libcuda.so.1", NO_COLOR: "1" },
  }).output();
  assert.equal(code, 2);
  assert.equal(stdout.length, 0);
  assert.match(
    new TextDecoder().decode(stderr),
    /^bench: there is no GPU to measure\. NVIDIA driver: .*Install the driver/,
  );
});
