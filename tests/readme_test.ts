import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

Deno.test("the example on README's first page runs and learns its sentence", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--doc", "README.md"],
    cwd: fileURLToPath(new URL("..", import.meta.url)),
  }).output();
  const decoder = new TextDecoder();
  assert.ok(success, decoder.decode(stdout) + decoder.decode(stderr));
  assert.match(decoder.decode(stdout), /1 passed/);
});
