/** Reinforcement learning with a reward of one's own: plain letters, and no stray bytes. */
import { Decoder, Engine } from "@denotron/denotron";
import {
  constantSchedule,
  engineCompletions,
  grpoStage,
  type Reward,
  rowsOf,
  streamRows,
  train,
} from "@denotron/denotron/train";
import assert from "node:assert/strict";
import { printingRun, smallSpec, tokenizer } from "./support.ts";

using policy = new Decoder(smallSpec(1), { seed: 1 }); // knows nothing yet
using engine = new Engine(policy);

/** A reward is a function of what was written, and of the row that asked for it. */
const plain: Reward = ({ text }) => {
  const characters = [...text];
  return characters.filter((one) => one < "\u0080").length / (characters.length || 1);
};

const prompts = ["the", "cat", "sat on", "the mat"].map((prompt) => ({ prompt }));
const stage = grpoStage({
  ...{ policy, tokenizer, rewards: { plain }, combine: (scores) => scores.plain },
  prompts: streamRows(rowsOf(prompts, "prompts"), { seed: 1 }),
  generate: engineCompletions(engine),
  refresh: () => engine.refresh(policy), // the engine takes over the weights before each rollout
  ...{ promptsPerRollout: 4, samplesPerPrompt: 8, stepsPerRollout: 2, maxTokens: 8, seed: 2 },
  advantages: "group",
  loss: { clipLow: 0.2, clipHigh: 0.28, klCost: 0 },
});
const rewards: number[] = [];
const run = printingRun(10, ["reward", "entropy"]);
await train(stage, { steps: 60, lr: constantSchedule({ peak: 2e-2 }) }, {
  ...run,
  metrics(step, values) {
    run.metrics(step, values);
    if (values.reward !== undefined) rewards.push(values.reward);
  },
});
const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const [first, last] = [mean(rewards.slice(0, 6)), mean(rewards.slice(-6))];
console.log(`reward ${first.toFixed(2)} → ${last.toFixed(2)}`);
assert.ok(last > first + 0.1);
