/**
 * A real process that is killed at random, and goes on.
 *
 * @module
 */
import assert from "node:assert/strict";
import { RandomKey } from "../../tensor/mod.ts";
import { withFolder } from "../nn/specs.ts";

const child = new URL("./killed_run.ts", import.meta.url).pathname;

/**
 * Trains in a folder. The process waits after each step until it may go on; after its step number `deadline` it is killed
 * at once, wherever it is by then. Returns the lines that it told.
 */
async function session(folder: string, deadline: number): Promise<string[]> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", child, folder],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines: string[] = [], permission = process.stdin.getWriter();
  let rest = "";
  for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    for (const line of parts) {
      lines.push(line);
      if (line.startsWith("weights") || lines.length > deadline) continue;
      await permission.write(Uint8Array.of(1));
      if (lines.length === deadline) process.kill("SIGKILL");
    }
  }
  await permission.abort();
  const { signal, success } = await process.status;
  assert.ok(success || signal === "SIGKILL", lines.join("\n"));
  return lines;
}

/** What a line tells of. */
const subject = (line: string): string => line.slice(0, line.indexOf(" "));

Deno.test("a process killed with SIGKILL at random steps ends with the curve and the weights of one that was not", async () => {
  await withFolder(async (folder) => {
    const whole = await session(`${folder}/whole`, Infinity);
    assert.equal(whole.length, 41, "40 steps, and the bits of the weights");
    const key = new RandomKey(Date.now()); // other steps each time: all must hold
    const told = new Map<string, string>();
    for (let kills = 0; !told.has("weights"); kills++) {
      // What a resumed run tells again replaces what was told before.
      const deadline = kills < 5 ? 4 + key.bits(kills) % 4 : Infinity;
      for (const line of await session(`${folder}/killed`, deadline)) {
        told.set(subject(line), line);
      }
    }
    assert.deepEqual(whole.map((line) => told.get(subject(line))), whole);
  });
});
