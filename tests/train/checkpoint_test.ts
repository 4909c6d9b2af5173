/**
 * Checkpoints are whole or not there, whatever happens while they are written.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type CheckpointFiles, diskFiles } from "../../train/checkpoint.ts";
import {
  Checkpoints,
  constantSchedule,
  pretrainStage,
  ResumeError,
  SaveError,
  train,
  type TrainOptions,
} from "../../train/mod.ts";
import { withFolder } from "../nn/specs.ts";
import { MemoryRun, randomBatches, tinyDecoder, weightsOf } from "./support.ts";

const steps = 4;
const options: TrainOptions = {
  steps,
  lr: constantSchedule({ peak: 1e-2 }),
  checkpointEvery: 1,
  keepLast: 1,
  resume: true,
};

/** Trains a small decoder in a folder; returns the run and its weights. */
async function trained(folder: string, changes: Partial<TrainOptions> = {}, run?: MemoryRun) {
  using model = tinyDecoder();
  const stage = pretrainStage({ model, batches: randomBatches() });
  const told = run ?? new MemoryRun(folder);
  const result = await train(stage, { ...options, ...changes }, told);
  return { run: told, result, weights: weightsOf(stage) };
}

/** The process is gone: nothing that it would have done afterwards happens either. */
class Killed extends Error {}

/** Files of a process that is killed before its file operation number `deadline`, or in the middle of one that writes. */
function mortalFiles(deadline: number): CheckpointFiles & { readonly operations: () => number } {
  let count = 0;
  const living = <A extends unknown[]>(operate: (...args: A) => void) => (...args: A): void => {
    if (++count >= deadline) throw new Killed();
    operate(...args);
  };
  return {
    operations: () => count,
    makeFolder: living(diskFiles.makeFolder),
    writeText: living(diskFiles.writeText),
    syncFolder: living(diskFiles.syncFolder),
    rename: living(diskFiles.rename),
    remove: living(diskFiles.remove),
    writeTensors(path, state) {
      const entries = state.entries().map(([name, entry]) =>
        [name, {
          ...entry,
          read(): Uint8Array {
            if (++count >= deadline) {
              // What a file system without an orderly end may leave: a file that breaks off.
              Deno.writeFileSync(path, entry.read().subarray(0, 100));
              throw new Killed();
            }
            return entry.read();
          },
        }] as const
      );
      if (++count >= deadline) throw new Killed();
      diskFiles.writeTensors(path, new Map(entries));
    },
  };
}

Deno.test("a run that is killed at any file operation resumes with the same bits", async () => {
  await withFolder(async (folder) => {
    const counted = mortalFiles(Infinity), steps = 2; // two checkpoints, of which the second replaces the first
    const whole = await trained(`${folder}/whole`, { steps, files: counted });
    const operations = counted.operations();
    assert.ok(operations > 15, `${operations} operations`);
    for (let deadline = 1; deadline <= operations; deadline++) {
      const path = `${folder}/${deadline}`, run = new MemoryRun(path);
      await assert.rejects(
        trained(path, { steps, files: mortalFiles(deadline) }, run),
        (error: Error) => {
          return error instanceof Killed || error.cause instanceof Killed;
        },
      );
      const { weights } = await trained(path, { steps }, run);
      assert.deepEqual(weights, whole.weights, `killed at operation ${deadline}`);
      assert.deepEqual(run.curve("loss"), whole.run.curve("loss"));
      const left = [...Deno.readDirSync(`${path}/checkpoints`)].map(({ name }) => name);
      assert.deepEqual(left, ["step-000002"], "nothing else is left");
    }
  });
});

Deno.test("the newest checkpoint that is whole is found, and broken ones are named", async () => {
  await withFolder(async (folder) => {
    const whole = await trained(folder, { keepLast: 4 });
    const at = (step: number, file: string) => `${folder}/checkpoints/step-00000${step}/${file}`;
    Deno.truncateSync(at(4, "state.safetensors"), 1000);
    Deno.writeTextFileSync(at(3, "state.json"), `{"format": 1, "step"`);
    const { run, weights, result } = await trained(folder, { keepLast: 4 });
    assert.deepEqual(weights, whole.weights);
    assert.deepEqual(run.curve("loss"), whole.run.curve("loss").slice(2));
    assert.match(run.warnings[0], /step-000004 is broken and left aside/);
    assert.match(run.warnings[1], /step-000003 is broken and left aside/);
    assert.equal(run.warnings.length, 2);
    assert.equal(new Checkpoints(`${folder}/checkpoints`, assert.fail).newest()?.step, 4);
    assert.equal(result.checkpoint, `${folder}/checkpoints/step-000004`);
  });
});

Deno.test("a run does not begin beside checkpoints that it does not resume", async () => {
  await withFolder(async (folder) => {
    await trained(folder);
    await assert.rejects(trained(folder, { resume: false }), (error: Error) => {
      assert.ok(error instanceof ResumeError);
      assert.match(error.message, /has checkpoints \(up to step 4\)\. Resume, or choose another/);
      return true;
    });
  });
});

Deno.test("a checkpoint of another model is refused", async () => {
  await withFolder(async (folder) => {
    await trained(folder);
    using model = tinyDecoder();
    model.freeze(/embedding|blocks|head/);
    const stage = { ...pretrainStage({ model, batches: randomBatches() }), name: "other" };
    await assert.rejects(train(stage, options, new MemoryRun(folder)), (error: Error) => {
      assert.ok(error instanceof ResumeError);
      assert.match(error.message, /is of another model or stage, "pretrain" \("other" here\)/);
      return true;
    });
  });
});

/** Whether this process may mount a file system; says so once when it may not. */
function canMount(): boolean {
  try {
    if (new Deno.Command("unshare", { args: ["-Urm", "true"] }).outputSync().success) return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // there is no such program
  }
  console.log("skipped: a small file system cannot be mounted here");
  return false;
}

Deno.test({
  name: "a full disk is a clear error, and the older checkpoint goes on",
  ignore: Deno.build.os !== "linux" || !canMount(),
  async fn() {
    await withFolder(async (folder) => {
      // A disk of its own, with room for one checkpoint but not for two, that the child process alone can see.
      const child = new URL("./full_disk.ts", import.meta.url).pathname;
      const script = `mount -t tmpfs -o size=256k none "${folder}" && exec "$@"`;
      const { stdout, stderr } = await new Deno.Command("unshare", {
        args: ["-Urm", "sh", "-c", script, "sh", Deno.execPath(), "run", "-A", child, folder],
      }).output();
      const text = new TextDecoder().decode(stdout);
      assert.notEqual(text, "", new TextDecoder().decode(stderr));
      const { name, message, isFull, steps, warnings } = JSON.parse(text);
      assert.equal(name, SaveError.name);
      assert.ok(isFull);
      const told = /step-00000(\d) .*, the disk is full \(that of step (\d) is whole\)\. Make room/;
      const [refused, whole] = told.exec(message)!.slice(1).map(Number);
      assert.ok(whole >= 1 && refused === whole + 1);
      assert.deepEqual([steps.at(-1), warnings], [whole, []]);
    });
  },
});
