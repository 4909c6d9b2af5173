import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { memoryCases } from "../../bench/gpu/memory_cases.ts";
import { tinySizes } from "../../bench/gpu/sizes.ts";
import type { Report } from "../../bench/report.ts";
import { device } from "../../tensor/mod.ts";
import { cudaTest } from "./support.ts";

cudaTest("work is timed by the device's clock", () => {
  const seconds = device("cuda").seconds(() => {});
  assert.ok(seconds >= 0 && seconds < 60, `${seconds}`);
});

cudaTest("the GPU bench has a figure for everything, in tiny sizes", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--no-check", fileURLToPath(new URL("../../bench/cli.ts", import.meta.url))],
      ...["gpu", "--tiny", "--no-peer", "--json"],
    ],
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  const lines = new TextDecoder().decode(stdout).trim().split("\n");
  const { bench, ceilings, rows } = JSON.parse(lines.at(-1)!) as Report;
  assert.equal(bench, "gpu");
  for (const figure of [ceilings.fmaGflops, ceilings.bf16Gflops, ceilings.readGBs]) {
    assert.ok(figure > 0);
  }
  for (const { name, value, ofCeiling = 1 } of rows) {
    assert.ok(value > 0 && Number.isFinite(value) && ofCeiling > 0, name);
  }
  const names = rows.map(({ name }) => name);
  const expected = [
    "gemm bf16 16",
    "gemm f32 16",
    "attention bf16 B1 T16 H2/1 D16 forward",
    "attention bf16 B1 T16 H2/1 D16 forward+backward",
    ...memoryCases(tinySizes).map(({ name }) => name),
    "train tiny bf16",
    "decode tiny bf16 s1",
    "decode tiny bf16 s1 without graphs",
    "decode tiny bf16 s2",
    "decode tiny bf16 s2 without graphs",
  ];
  assert.deepEqual(expected.filter((name) => !names.includes(name)), []);
});
