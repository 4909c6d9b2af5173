import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const training = fileURLToPath(new URL("soak.ts", import.meta.url));

Deno.test("thousands of training steps learn, and leave memory as it was", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", training],
    stderr: "piped",
  }).output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  assert.equal(code, 0, text(stderr));
  const { steps, first, last, grownMiB, blocks } = JSON.parse(text(stdout));
  assert.ok(steps >= 400);
  // What is no number is null in JSON, which would be less than anything.
  for (const value of [first, last, grownMiB]) assert.equal(typeof value, "number");
  assert.ok(last < first / 2, `from ${first} to ${last}`);
  // V8's own heap breathes by a few MiB.
  assert.ok(grownMiB < 12, `${grownMiB} MiB more are resident`);
  assert.equal(blocks, 0);
});
