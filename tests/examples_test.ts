/** Every example runs, says something, and finds what it asserts. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../examples", import.meta.url));
const examples = readdirSync(folder).filter((name) => name !== "support.ts").sort();

for (const name of examples) {
  Deno.test(`examples/${name} runs`, async () => {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", join(folder, name)],
    }).output();
    const decoder = new TextDecoder();
    assert.ok(success, decoder.decode(stderr) + decoder.decode(stdout));
    assert.ok(stdout.length > 0, "it says nothing");
  });
}

Deno.test("an example is short, and its first line says what it is about", () => {
  assert.ok(examples.length >= 6);
  for (const name of examples) {
    const lines = Deno.readTextFileSync(join(folder, name)).trimEnd().split("\n");
    assert.ok(lines.length <= 60, `${name} has ${lines.length} lines`);
    assert.match(lines[0], /^\/\*\* .{20,}\*\/$/, name);
  }
});
