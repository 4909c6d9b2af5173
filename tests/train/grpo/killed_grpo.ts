/**
 * Reinforcement learning in a folder, going on from what is there. Prints each rollout that it scores, each step's loss and
 * reward, and the hash of the weights in the end. Usage: killed_grpo.ts <folder> <steps between checkpoints>
 *
 * @module
 */
import { createHash } from "node:crypto";
import { Engine } from "../../../engine/mod.ts";
import { constantSchedule, frozenReference, grpoStage, train } from "../../../train/mod.ts";
import { MemoryRun, weightsOf } from "../support.ts";
import { plainShare, stageOptions, tinyPolicy } from "./support.ts";

class PrintedRun extends MemoryRun {
  override metrics(
    step: number,
    { loss, reward, grad_norm }: Readonly<Record<string, number>>,
  ): void {
    console.log(`${step} ${loss} ${reward} ${grad_norm}`);
  }
}

const [folder, checkpointEvery] = Deno.args;
using policy = tinyPolicy();
using before = tinyPolicy();
using engine = new Engine(policy);
const stage = grpoStage({
  ...stageOptions(policy, engine),
  reference: frozenReference(before),
  loss: { klCost: 0.05 },
  rewards: {
    plain: (completion, row) => {
      console.log("scoring");
      return plainShare(completion, row);
    },
  },
});
await train(stage, {
  steps: 8,
  lr: constantSchedule({ peak: 1e-2 }),
  checkpointEvery: Number(checkpointEvery),
  resume: true,
}, new PrintedRun(folder));
const hash = createHash("sha256");
for (const bits of weightsOf(stage).values()) hash.update(bits);
console.log(`weights ${hash.digest("hex")}`);
