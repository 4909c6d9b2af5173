import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { withFiles } from "./support.ts";

const reader = fileURLToPath(new URL("large_file.ts", import.meta.url));

/** A file of so many megabytes of text rows of about 1 kB. */
function writeLargeFile(path: string, megabytes: number): number {
  using file = Deno.openSync(path, { write: true, create: true });
  const line = (row: number): string =>
    `${JSON.stringify({ text: `Row ${row}: ${"two and two is four. ".repeat(47)}` })}\n`;
  let rows = 0;
  for (let written = 0; written < megabytes * 1e6;) {
    const lines = Array.from({ length: 1000 }, () => line(rows++)).join("");
    written += file.writeSync(new TextEncoder().encode(lines));
  }
  return rows;
}

Deno.test("a file of 300 MB is trained on in a fraction of that memory", async () => {
  await withFiles({}, async (folder) => {
    const path = join(folder, "large.jsonl"), rows = writeLargeFile(path, 300);
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", reader, path],
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    const found = JSON.parse(new TextDecoder().decode(stdout)) as { rows: number; grown: number };
    assert.equal(found.rows, rows);
    assert.ok(found.grown < 100, `memory grew by ${found.grown} MB`);
  });
});
