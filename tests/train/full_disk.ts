/**
 * Trains on a disk with room for one checkpoint, and prints the error. Usage: full_disk.ts <folder>
 *
 * @module
 */
import {
  Checkpoints,
  constantSchedule,
  pretrainStage,
  type SaveError,
  train,
} from "../../train/mod.ts";
import { MemoryRun, randomBatches, tinyDecoder } from "./support.ts";

const [folder] = Deno.args;
using model = tinyDecoder();
const stage = pretrainStage({ model, batches: randomBatches() });
const options = { steps: 4, lr: constantSchedule({ peak: 1e-2 }), checkpointEvery: 1 };
const run = new MemoryRun(folder);
try {
  await train(stage, options, run);
} catch (error) {
  const { name, message, isFull } = error as SaveError;
  const checkpoints = new Checkpoints(`${folder}/checkpoints`, (text) => run.warn(text));
  const steps = checkpoints.newest() ? checkpoints.steps() : [];
  console.log(JSON.stringify({ name, message, isFull, steps, warnings: run.warnings }));
}
