/** `deno task doctor`, in this process. */
import assert from "node:assert/strict";
import { main } from "../../cli/doctor.ts";
import { selfTest } from "../../cli/self_test.ts";
import { device } from "../../tensor/mod.ts";
import "../support.ts";
import { lastJson, runMain } from "./support.ts";

Deno.test("the doctor says what there is, within 80 columns, and that it works", async () => {
  const outcome = await runMain(main, ["--json"]);
  assert.equal(outcome.code, 0, outcome.out);
  const { passed, system, compiler, kernels, cache, advice } = lastJson(outcome) as Record<
    string,
    Record<string, unknown>
  >;
  assert.equal(passed, true);
  assert.equal(system.deno, Deno.version.deno);
  assert.ok(Array.isArray(advice));
  assert.equal(typeof cache.bytes, "number");
  assert.ok(compiler === null || Array.isArray(compiler.flags));
  assert.ok((kernels.threads as number) >= 1);
  const lines = outcome.out.trimEnd().split("\n").slice(0, -1);
  for (const name of ["system", "CPU", "compiler", "kernels", "memory", "cache", "self-test"]) {
    assert.ok(lines.some((line) => line.startsWith(name)), name);
  }
  const words = lines.flatMap((line) => line.trim().split(/\s+/));
  const longest = Math.max(...words.map((word) => word.length));
  assert.deepEqual(lines.filter((line) => line.length > Math.max(80, longest + 11)), []);
});

Deno.test("the self-test checks every op it names in both types, and leaves no memory behind", () => {
  const before = device().memory.inUse;
  const results = selfTest();
  assert.deepEqual(results.filter(({ passed }) => !passed), []);
  assert.ok(results.length >= 16);
  assert.ok(results.some(({ name }) => name === "attention bf16"));
  assert.equal(device().memory.inUse, before);
});
