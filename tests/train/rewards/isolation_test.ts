import assert from "node:assert/strict";
import {
  codeReward,
  extractProgram,
  isolatedReward,
  type Reward,
  type RewardCompletion,
  runProgram,
  runRewards,
} from "../../../train/rewards/mod.ts";

const hostile = new URL("./hostile/rewards.ts", import.meta.url);
const completion: RewardCompletion = { text: "four", ended: true, tokens: 1, maxTokens: 8 };

const failures: Readonly<Record<string, RegExp>> = {
  hangs: /no score in time/,
  neverResolves: /no score in time/,
  throws: /not today/,
  fillsHeap: /memory|ended/,
  fillsBuffers: /memory|ended/,
  readsFile: /NotCapable|read access/,
  importsFile: /read access/,
  opensSocket: /NotCapable|net access/,
  connects: /NotCapable|net access/,
  readsEnvironment: /NotCapable|env access/,
  runsProgram: /NotCapable|run access/,
  exits: /ended/,
  notANumber: /no number/,
  floodsOutput: /no score|JSON/,
};

Deno.test("a reward that hangs, throws, fills memory, reads a file or opens a socket is contained and scored", async () => {
  for (const [exportName, expected] of Object.entries(failures)) {
    const timeoutMs = expected.source.includes("in time") ? 1000 : 60_000;
    await using reward = isolatedReward(hostile, { exportName, timeoutMs, memoryMb: 64 });
    const outcomes = await runRewards({ it: reward.score }, [completion, completion], [{}, {}], {
      timeoutMs: 120_000,
    });
    for (const { scores, failures } of outcomes) {
      assert.deepEqual(scores, { it: 0 }, exportName);
      assert.match(failures.it, expected, exportName);
    }
  }
});

Deno.test("an isolated reward goes on after failures of others, and what it logs does not count", async () => {
  await using good = isolatedReward(hostile, { exportName: "good", timeoutMs: 60_000 });
  await using exits = isolatedReward(hostile, { exportName: "exits", timeoutMs: 60_000 });
  const completions = ["a", "bb", "ccc"].map((text) => ({ ...completion, text }));
  const outcomes = await runRewards({ good: good.score, exits: exits.score }, completions, [
    {},
    {},
    {},
  ], { timeoutMs: 120_000 });
  assert.deepEqual(outcomes.map(({ scores }) => scores.good), [1, 2, 3]);
  assert.deepEqual(outcomes.map(({ failures }) => Object.keys(failures)), Array(3).fill(["exits"]));
});

Deno.test("rewards that reject, return no number or take too long get the failure score", async () => {
  const rewards: Record<string, Reward> = {
    rejects: () => Promise.reject(new Error("no")),
    infinite: () => Infinity,
    slow: () => new Promise(() => {}),
    right: () => 1,
  };
  const options = { timeoutMs: 50, failureScore: -1 };
  const [{ scores, failures }] = await runRewards(rewards, [completion], [{}], options);
  assert.deepEqual(scores, { rejects: -1, infinite: -1, slow: -1, right: 1 });
  assert.deepEqual(Object.keys(failures).toSorted(), ["infinite", "rejects", "slow"]);
});

Deno.test("no more completions are scored at once than allowed, and each gets its own scores", async () => {
  let running = 0, most = 0;
  const reward: Reward = async ({ text }) => {
    most = Math.max(most, ++running);
    await Promise.resolve();
    running--;
    return Number(text);
  };
  const completions = Array.from({ length: 20 }, (_, i) => ({ ...completion, text: String(i) }));
  const outcomes = await runRewards({ reward }, completions, completions.map(() => ({})), {
    concurrency: 3,
  });
  assert.equal(most, 3);
  assert.deepEqual(outcomes.map(({ scores }) => scores.reward), completions.map((_, i) => i));
});

Deno.test("a program that a model wrote runs within limits, and only computes", async () => {
  const run = (program: string) => {
    const timeoutMs = program === "while (true);" ? 500 : 60_000;
    return runProgram(program, "", { timeoutMs, memoryMb: 64, outputBytes: 1000 });
  };
  assert.equal((await run("const x: number = 1; console.log(x + 1)")).output, "2\n");
  const failing: Readonly<Record<string, RegExp>> = {
    "while (true);": /ran too long/,
    "const a: unknown[] = []; while (true) a.push(new Array(1e6).fill(a));": /memory/,
    "const a = []; while (true) a.push(new Uint8Array(1e7).fill(1));": /memory/,
    "while (true) console.log('x'.repeat(100));": /wrote too much/,
    "Deno.readTextFileSync('/etc/hostname')": /NotCapable/,
    "import x from 'file:///etc/hostname' with { type: 'json' }; console.log(x)": /read access/,
    "Deno.listen({ port: 0 })": /NotCapable/,
    "await fetch('http://127.0.0.1:9090')": /NotCapable/,
    "new Deno.Command('/bin/true').outputSync()": /NotCapable/,
    "Deno['dlopen']('libc.so.6', {})": /NotCapable/,
    "let x: = ;": /SyntaxError|error/,
    "throw new Error('mine')": /mine/,
    "Deno.exit(3)": /^/,
  };
  for (const [program, error] of Object.entries(failing)) {
    const result = await run(program);
    assert.equal(result.ok, false, program);
    assert.match(result.error, error, program);
  }
});

Deno.test("a program is judged by what it writes for each test", async () => {
  const text =
    "Thinking aloud.\n```ts\nconst text = await new Response(Deno.stdin.readable).text();\n" +
    "console.log(Number(text) * 2);\n```\nDone.";
  const tests = [{ input: "2", output: "4" }, { input: "-1\n", output: "-2" }, {
    input: "1",
    output: "3",
  }];
  const score = (tests: unknown, partial = false) =>
    codeReward({ partial, timeoutMs: 60_000 })({ ...completion, text }, { tests });
  assert.equal(await score(tests.slice(0, 2)), 1);
  assert.equal(await score(tests), 0);
  assert.equal(await score(tests, true), 2 / 3);
  assert.equal(await codeReward()({ ...completion, text: "no program" }, { tests }), 0);
  await assert.rejects(async () => await score("none"), TypeError);
  assert.equal(extractProgram("```py\nx\n```\n```js\ny\n```\n```text\nz\n```"), "y\n");
});
