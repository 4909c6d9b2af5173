/**
 * A real process that is killed while it makes rollouts, and goes on.
 *
 * @module
 */
import assert from "node:assert/strict";
import { withFolder } from "../../nn/specs.ts";

const child = new URL("./killed_grpo.ts", import.meta.url).pathname;

/** Trains in a folder; is killed once it has scored `deadline` completions. Returns what it told of steps and weights. */
async function session(
  folder: string,
  checkpointEvery: number,
  deadline: number,
): Promise<string[]> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", child, folder, String(checkpointEvery)],
    stdout: "piped",
  }).spawn();
  const lines: string[] = [];
  let scored = 0, rest = "";
  for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    for (const line of parts) {
      if (line !== "scoring") lines.push(line);
      else if (++scored === deadline) process.kill("SIGKILL");
    }
  }
  await process.status;
  return lines;
}

Deno.test("killed with SIGKILL in mid-rollout, a run ends with the curve and the weights of one that was not", async () => {
  await withFolder(async (folder) => {
    const whole = await session(`${folder}/whole`, 3, Infinity);
    assert.equal(whole.length, 9, "8 steps, and the bits of the weights");
    // With a checkpoint after each step some lie between the two steps of a rollout.
    for (const checkpointEvery of [1, 3]) {
      const told = new Map<string, string>();
      for (const deadline of [5, 30, 40, 7, Infinity]) {
        for (
          const line of await session(
            `${folder}/killed${checkpointEvery}`,
            checkpointEvery,
            deadline,
          )
        ) {
          told.set(line.slice(0, line.indexOf(" ")), line); // what is told again replaces what was told
        }
      }
      assert.deepEqual(whole.map((line) => told.get(line.slice(0, line.indexOf(" ")))), whole);
    }
  });
});
