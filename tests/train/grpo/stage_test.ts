import assert from "node:assert/strict";
import { Engine } from "../../../engine/mod.ts";
import { addLora } from "../../../nn/mod.ts";
import { device } from "../../../tensor/mod.ts";
import {
  adapterReference,
  completionLogProbs,
  completionsTable,
  constantSchedule,
  decoderCompletions,
  frozenReference,
  grpoStage,
  type GrpoStageOptions,
  isolatedReward,
  type JudgedGroup,
  type PolicyBatches,
  rowsOf,
  streamRows,
  train,
} from "../../../train/mod.ts";
import { withFolder } from "../../nn/specs.ts";
import { MemoryRun } from "../support.ts";
import { plainShare, rows, stageOptions, tinyPolicy } from "./support.ts";

const lr = constantSchedule({ peak: 1e-2 });

/** Runs a stage for some steps with a policy of its own. */
async function trained(steps: number, change: Partial<GrpoStageOptions> = {}) {
  using policy = tinyPolicy();
  using engine = new Engine(policy);
  const run = new MemoryRun();
  await train(grpoStage({ ...stageOptions(policy, engine), ...change }), { steps, lr }, run);
  return run;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

Deno.test("a policy learns what is rewarded, with ratios of tokens, of sequences, and without", async () => {
  const variants: Partial<GrpoStageOptions>[] = [
    { advantages: "group" },
    { advantages: "rloo", loss: { ratio: "none", klCost: 0 } },
    { advantages: "mean", loss: { ratio: "sequence", normalizer: "sequence", klCost: 0 } },
  ];
  for (const [i, change] of variants.entries()) {
    const rewards = (await trained(40, change)).curve("reward");
    const [first, last] = [mean(rewards.slice(0, 8)), mean(rewards.slice(-8))];
    assert.ok(last > first + 0.1, `variant ${i}: ${first} → ${last}`);
  }
});

Deno.test("figures have TRL's names, and the first step of a rollout clips nothing", async () => {
  const run = await trained(4);
  const figures = run.figures.get(1)!;
  const names = [
    ..."reward reward_std frac_reward_zero_std kl entropy rewards/plain/mean rewards/failures"
      .split(" "),
    ..."clip_ratio/low_mean clip_ratio/high_mean clip_ratio/region_mean".split(" "),
    ..."completions/mean_length completions/clipped_ratio completions/mean_terminated_length".split(
      " ",
    ),
    ..."sampling/token_mult_prob_error sampling/kl_error rollout/tokens_per_second".split(" "),
  ];
  for (const name of names) assert.ok(Number.isFinite(figures[name]), name);
  assert.equal(figures["clip_ratio/region_mean"], 0);
  assert.ok(run.figures.get(3)!["rollout/share"] > 0 && run.figures.get(3)!["rollout/share"] < 1);
  // The same kernels in generation and training.
  assert.ok(Math.abs(figures["sampling/token_mult_prob_error"] - 1) < 1e-5);
});

Deno.test("the engine's and plain generation both make rollouts, and leave no memory behind", async () => {
  const before = device().memory.inUse;
  using policy = tinyPolicy();
  const run = new MemoryRun();
  using engine = new Engine(policy);
  const generate = decoderCompletions(policy, { batch: 7 });
  const inUse = device().memory.inUse;
  const stage = grpoStage({ ...stageOptions(policy, engine), generate });
  await train(stage, { steps: 2, lr }, run);
  assert.equal(device().memory.inUse, inUse);
  assert.ok(run.curve("reward").length === 2 && inUse > before);
});

Deno.test("the reference is a frozen copy, or the policy without its adapters", async () => {
  using policy = tinyPolicy();
  using copy = tinyPolicy();
  addLora(policy, { rank: 2 });
  using engine = new Engine(policy);
  const reference = adapterReference(policy);
  const run = new MemoryRun();
  await train(
    grpoStage({ ...stageOptions(policy, engine), reference, loss: { klCost: 0.1 } }),
    { steps: 4, lr: constantSchedule({ peak: 0.05 }) },
    run,
  );
  const [first, ...later] = run.curve("kl");
  assert.ok(first < 1e-9 && later.at(-1)! > 1e-6, `${first}, ${later}`);
  const completions = [{ ids: Int32Array.of(5, 6, 7, 8), prompt: 2 }],
    how = { temperature: 1, tokensPerBatch: 8 };
  assert.deepEqual(reference(completions, how), frozenReference(copy)(completions, how));
  assert.notDeepEqual(completionLogProbs(policy, completions, how), reference(completions, how));
});

/** The rollouts of a stage whose batches are taken without training. */
async function rollouts(
  count: number,
  change: (options: GrpoStageOptions) => Partial<GrpoStageOptions>,
) {
  using policy = tinyPolicy();
  using engine = new Engine(policy);
  const seen: JudgedGroup[][] = [], options = stageOptions(policy, engine);
  const onRollout = (_: number, groups: readonly JudgedGroup[]) => void seen.push([...groups]);
  const batches = grpoStage({ ...options, onRollout, ...change(options) }).batches as PolicyBatches;
  const steps = [];
  while (seen.length < count || steps.length < 2 * count) {
    const step = await batches.next();
    if (step === null) break;
    steps.push(step);
  }
  return { seen, steps };
}

Deno.test("dynamic sampling replaces prompts whose completions are all worth the same", async () => {
  // Nothing can be learned from prompts whose answer is a vowel.
  const combine = ({ plain }: Readonly<Record<string, number>>) => plain;
  const plain = (...[completion, row]: Parameters<typeof plainShare>) =>
    "ae".includes(String(row.answer)) ? 1 : plainShare(completion, row);
  const { seen } = await rollouts(3, () => ({ samplingRounds: 6, combine, rewards: { plain } }));
  for (const groups of seen) {
    assert.equal(groups.length, 4);
    assert.ok(groups.every(({ row }) => !"ae".includes(String(row.answer))));
  }
  const { seen: kept } = await rollouts(2, () => ({ combine, rewards: { plain } }));
  assert.ok(kept.flat().some(({ row }) => "ae".includes(String(row.answer))));
});

Deno.test("completions that did not end can be left out of the loss", async () => {
  const trainedTokens = async (maskOverlong: boolean) => {
    const { steps } = await rollouts(1, () => ({ maskOverlong }));
    return steps.flat().reduce(
      (sum, { targets }) => sum + targets.filter((id) => id >= 0).length,
      0,
    );
  };
  assert.ok(await trainedTokens(false) > await trainedTokens(true));
});

Deno.test("steps share a rollout's prompts, micro-batches a step's completions, and the prompts end", async () => {
  const { seen, steps } = await rollouts(9, ({ samplesPerPrompt = 1 }) => ({
    prompts: streamRows(rowsOf(rows, "letters"), { epochs: 1 }),
    tokensPerMicroBatch: 20 * samplesPerPrompt,
  }));
  assert.equal(seen.length, 2, "eight prompts make two rollouts");
  assert.equal(steps.length, 4);
  assert.ok(steps.every((step) => step.length > 1));
  const sequences = steps.map((step) => step.reduce((sum, { lengths }) => sum + lengths.length, 0));
  assert.deepEqual(sequences, [12, 12, 12, 12]);
});

Deno.test("a correction for the mismatch of generation needs log-probabilities at temperature 1", async () => {
  const correction = { kind: "tis" } as const;
  await assert.rejects(
    async () => await trained(1, { correction, loss: { temperature: 0.7 } }),
    TypeError,
  );
  using policy = tinyPolicy();
  const generate = decoderCompletions(policy);
  await assert.rejects(async () => await trained(1, { correction, generate }), TypeError);
  const figures = (await trained(2, { correction })).figures.get(1)!;
  assert.ok(Math.abs(figures["sampling/kl_error"]) < 1e-5);
});

Deno.test("the engine's log-probabilities serve as those of the old weights", async () => {
  const computed = await trained(4), reused = await trained(4, { reuseLogProbs: true });
  assert.deepEqual(reused.curve("reward").slice(0, 2), computed.curve("reward").slice(0, 2));
  const [a, b] = [computed, reused].map((run) => run.curve("grad_norm")[0]);
  assert.ok(Math.abs(a - b) < 1e-4 * a, `${a} and ${b}`);
  assert.ok(reused.curve("sampling/kl_error").every((error) => error === 0));
});

Deno.test("rewards that hang, fill memory or read files do not stop a run", async () => {
  const module = new URL("../rewards/hostile/rewards.ts", import.meta.url);
  for (const exportName of ["hangs", "fillsHeap", "readsFile", "throws", "exits"]) {
    await using hostile = isolatedReward(module, { exportName, timeoutMs: 1500, memoryMb: 64 });
    const run = await trained(2, {
      ...{ promptsPerRollout: 2, samplesPerPrompt: 2 },
      rewards: { plain: plainShare, hostile: hostile.score },
      pool: { timeoutMs: 60_000 },
    });
    assert.deepEqual(run.curve("rewards/failures"), [1, 1], exportName);
    assert.deepEqual(run.curve("rewards/hostile/mean"), [0, 0]);
  }
});

Deno.test("each rollout's completions are in the run, for programs and for people", async () => {
  await withFolder(async (folder) => {
    await trained(4, { onRollout: completionsTable(`${folder}/completions`) });
    const names = [...Deno.readDirSync(`${folder}/completions`)].map(({ name }) => name).toSorted();
    const files = ["rollout-000001", "rollout-000002"].flatMap((
      name,
    ) => [`${name}.jsonl`, `${name}.txt`]);
    assert.deepEqual(names, files);
    const lines = Deno.readTextFileSync(`${folder}/completions/${files[0]}`).trim().split("\n");
    assert.equal(lines.length, 24);
    const line = JSON.parse(lines[0]);
    for (const field of ["question", "completion", "reward", "advantage", "scores", "ended"]) {
      assert.ok(field in line, field);
    }
    assert.match(Deno.readTextFileSync(`${folder}/completions/${files[1]}`), /1\. write [a-h]/);
  });
});
