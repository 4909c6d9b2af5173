/**
 * A real process that is killed at random, and goes on.
 *
 * @module
 */
import assert from "node:assert/strict";
import { RandomKey } from "../../tensor/mod.ts";
import { withFolder } from "../nn/specs.ts";

const child = new URL("./killed_run.ts", import.meta.url).pathname;

/** Trains in a folder; is killed once it has told of step `deadline`. Returns the lines that it told. */
async function session(folder: string, deadline: number): Promise<string[]> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", child, folder],
    stdout: "piped",
  }).spawn();
  const lines: string[] = [];
  let rest = "";
  for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    lines.push(...parts);
    if (lines.some((line) => line.startsWith(`${deadline} `))) process.kill("SIGKILL");
  }
  const { signal, success } = await process.status;
  assert.ok(success || signal === "SIGKILL", lines.join("\n"));
  return lines;
}

Deno.test("a process killed with SIGKILL at random steps ends with the curve and the weights of one that was not", async () => {
  await withFolder(async (folder) => {
    const whole = await session(`${folder}/whole`, Infinity);
    assert.equal(whole.length, 41, "40 steps, and the bits of the weights");
    const key = new RandomKey(Date.now()); // other steps each time: all must hold
    const told = new Map<string, string>();
    let deadline = 0, kills = 0;
    while (!told.has("weights")) {
      deadline += 1 + key.bits(kills) % 15;
      for (const line of await session(`${folder}/killed`, deadline)) {
        told.set(line.slice(0, line.indexOf(" ")), line); // what a resumed run tells again replaces what was told
      }
      kills++;
    }
    assert.ok(kills > 2);
    assert.deepEqual(whole.map((line) => told.get(line.slice(0, line.indexOf(" ")))), whole);
  });
});
