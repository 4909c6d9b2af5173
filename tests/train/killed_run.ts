/**
 * Trains in a folder, going on from what is there. Prints each step's loss, then waits for a byte; in the end it prints the
 * hash of the weights.
 * Usage: killed_run.ts <folder>
 *
 * @module
 */
import { createHash } from "node:crypto";
import { cosineSchedule, pretrainStage, train } from "../../train/mod.ts";
import { MemoryRun, randomBatch, randomBatches, tinyDecoder, weightsOf } from "./support.ts";

class PrintedRun extends MemoryRun {
  override metrics(step: number, values: Readonly<Record<string, number>>): void {
    if (!("loss" in values)) return;
    console.log(`${step} ${values.loss} ${values.grad_norm}`);
    Deno.stdin.readSync(new Uint8Array(1)); // until the other process lets it go on
  }
}

const steps = 40, [folder] = Deno.args;
using model = tinyDecoder("bf16");
const heldOut = [randomBatch(99, [9])];
const stage = pretrainStage({ model, batches: randomBatches(), heldOut });
await train(stage, {
  steps,
  lr: cosineSchedule({ peak: 1e-2, warmup: 4, steps }),
  averageDecay: 0.9,
  evaluateEvery: 5,
  keepBest: true,
  checkpointEvery: 3,
  resume: true,
}, new PrintedRun(folder));
const hash = createHash("sha256");
for (const bits of weightsOf(stage).values()) hash.update(bits);
console.log(`weights ${hash.digest("hex")}`);
