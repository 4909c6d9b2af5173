/** `deno task train` for the whole recipe, and the commands around it, as users run them. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  interruptTask,
  lastJson,
  runTask,
  template,
  withFolder,
  writeTinyModel,
} from "./support.ts";

/** The recipe in a size that takes seconds. */
const small = `
  --held-out-rows 10 --tokenizer.rows 100
  --pretrain.shape.dim 16 --pretrain.shape.layers 2 --pretrain.shape.heads 1
  --pretrain.shape.kv-heads 1 --pretrain.shape.hidden 16
  --pretrain.steps 60 --pretrain.warmup 3 --pretrain.decay-steps 20 --pretrain.batch-tokens 512
  --pretrain.checkpoint-every 20 --pretrain.evaluate-every 40
  --puzzle.steps 8 --puzzle.batch-tokens 256 --puzzle.checkpoint-every 2
  --puzzle.variants.widths 0.5 --puzzle.search.draws 2 --puzzle.search.rounds 1
  --puzzle.scenario.batch-sizes 2 --puzzle.scenario.prompt-tokens 4
  --distill.steps 20 --distill.warmup 1 --distill.batch-tokens 256 --distill.checkpoint-every 5
  --cpt.steps 20 --cpt.warmup 1 --cpt.batch-tokens 256 --cpt.checkpoint-every 5
  --sft.steps 60 --sft.warmup 2 --sft.batch-tokens 512 --sft.checkpoint-every 20
  --filter.prompts 6 --filter.samples 2 --filter.limit 1
  --grpo.steps 20 --grpo.warmup 1 --grpo.prompts-per-rollout 2 --grpo.samples-per-prompt 2
  --grpo.max-tokens 8 --grpo.checkpoint-every 3
  --evaluation.problems 4 --evaluation.max-tokens 8
`.trim().split(/\s+/).concat(
  // Sizes are the same whenever they are measured; times are not.
  ["--puzzle.constraint", "parameters=0.97x"],
);

const stageNames = [
  ...["tokenizer", "pretrain", "puzzle", "fusion", "distill", "cpt", "sft", "filter", "grpo"],
  "evaluation",
];

/** The last models and the report of a run, without what its speed was. */
function results(folder: string): unknown {
  const text = readFileSync(join(folder, "report.json"), "utf8");
  const isSpeed = /seconds$|PerSecond$|SpeedUp$/i;
  const report = JSON.parse(text, (key, value) => isSpeed.test(key) ? 0 : value);
  const models = ["07-sft", "09-grpo"].map((place) =>
    readFileSync(join(folder, place, "model", "model.safetensors"))
  );
  return [report, models];
}

Deno.test("the recipe leaves a report and models, which the other commands find by themselves", () =>
  withFolder(async (cwd) => {
    const outcome = await runTask("train", [...small, "--name", "first", "--json"], { cwd });
    assert.equal(outcome.code, 0, outcome.errors);
    assert.ok(!(outcome.out + outcome.errors).includes("\x1b"));
    assert.match(outcome.errors, /pretrain is done in 0:\d\d: steps 60 /);
    stageNames.forEach((name, i) => assert.ok(outcome.errors.includes(`[${i + 1}/10] ${name}: `)));
    const report = lastJson(outcome) as Record<string, Record<string, unknown>>;
    const { stages, parent, child, baselines, distill, pretrain, sft, grpo } = report;
    assert.deepEqual((stages as unknown as { name: string }[]).map(({ name }) => name), stageNames);
    for (const model of [parent, child]) {
      assert.ok(Object.values(model).every((figure) => Number(figure) > 0), JSON.stringify(model));
    }
    assert.ok(Number(child.parameters) < Number(parent.parameters));
    assert.deepEqual(Object.keys(baselines), ["mip", "greedy", "random", "parameterMaximising"]);
    assert.ok(Number(distill.klAfter) < Number(distill.klBefore));
    assert.ok(Number(pretrain.lossAfter) < Number(pretrain.lossBefore));
    for (
      const share of [sft.accuracyOn, sft.accuracyOff, grpo.accuracyBefore, grpo.accuracyAfter]
    ) {
      assert.ok(Number(share) >= 0 && Number(share) <= 1);
    }
    assert.ok(Number(grpo.rolloutTokensPerSecond) > 0);
    const generated = await runTask("generate", ["--prompt", "1 + 1", "--max-tokens", "2"], {
      cwd,
    });
    assert.equal(generated.code, 0, generated.errors);
    const asked = [
      "--rows",
      "2",
      "--max-tokens",
      "4",
      "--split",
      "train",
      "--write",
      "answers.jsonl",
    ];
    const measured = await runTask("eval", [...asked, "--json"], { cwd });
    assert.equal(measured.code, 0, measured.errors);
    const answers = lastJson(measured).answers as { readonly ended: { readonly value: number } }[];
    assert.equal(answers.length, 2);
    const written = readFileSync(join(cwd, "answers.jsonl"), "utf8").trim().split("\n");
    const ended = answers.reduce((sum, { ended }) => sum + 2 * ended.value, 0);
    assert.equal(written.filter((line) => line !== "").length, Math.round(ended));
    const listed = await runTask("runs", [], { cwd });
    assert.match(listed.out, /^run .*\nfirst +pipeline +finished +20 /);
    const record = JSON.parse(readFileSync(join(cwd, "runs", "first", "run.json"), "utf8"));
    assert.equal(record.model, join("09-grpo", "model"));
    const page = readFileSync(join(cwd, "runs", "first", "report.html"), "utf8");
    for (const name of stageNames) assert.ok(page.includes(`<td class="text">${name}</td>`), name);
    assert.ok(page.includes("<polyline") && !/NaN|undefined|\b(src|href)=/.test(page));
  }));

Deno.test("the recipe takes a parent and texts of one's own, and as many stages as are wanted", () =>
  withFolder(async (cwd) => {
    await writeTinyModel(join(cwd, "tiny"), { chatTemplate: template });
    writeFileSync(
      join(cwd, "text.txt"),
      "hello world, this is a text of hello and of world\n".repeat(900),
    );
    const own = ["--model", "tiny", "--data", "text.txt", "--stages", "puzzle,distill,cpt"];
    const outcome = await runTask("train", [...small, ...own, "--name", "own", "--json"], { cwd });
    assert.equal(outcome.code, 0, outcome.errors);
    const { stages, parent, pretrain } = lastJson(outcome) as Record<
      string,
      Record<string, unknown>
    >;
    const names = (stages as unknown as { name: string }[]).map(({ name }) => name);
    assert.deepEqual(names, ["parent", "puzzle", "distill", "cpt"]);
    assert.ok(Number(parent.loss) > 0 && Number(pretrain.lossAfter) > 0);
    const generated = await runTask("generate", ["--prompt", "hello", "--max-tokens", "2"], {
      cwd,
    });
    assert.equal(generated.code, 0, generated.errors);
  }));

/** Something that is said in the middle of each stage, or at its beginning. */
const breaks: readonly RegExp[] = [
  /pretrain {2}[34]\d\/60/,
  /block library {2}[3456]\/8/,
  /\[4\/10\] fusion/,
  /distill {2}1\d\/20/,
  /cpt {2}1\d\/20/,
  /sft {2}[34]\d\/60/,
  /\[8\/10\] filter/,
  /grpo {2}1\d\/20/,
  /\[10\/10\] evaluation/,
];

Deno.test("the recipe goes on where it was interrupted or killed, at each stage, to the same result", () =>
  withFolder(async (cwd) => {
    const whole = await runTask("train", [...small, "--name", "whole"], { cwd });
    assert.equal(whole.code, 0, whole.errors);
    const args = [...small, "--name", "cut"];
    for (const [i, at] of breaks.entries()) {
      const signal = i % 2 === 0 ? "SIGINT" : "SIGKILL";
      const { code, errors } = await interruptTask("train", args, { cwd, at, signal });
      assert.match(errors, at);
      if (i === 0) assert.match(errors, /train --resume cut\n$/);
      if (signal === "SIGINT" && i < breaks.length - 1) assert.equal(code, 130, errors);
      if (i === 1) assert.match(errors, /tokenizer: done before\n.*\n.*goes on after step \d+/s);
    }
    const last = await runTask("train", ["--resume"], { cwd });
    // The last interruption may have come when there was nothing left to do.
    assert.ok(last.code === 0 || /no unfinished run/.test(last.errors), last.errors);
    assert.deepEqual(results(join(cwd, "runs", "cut")), results(join(cwd, "runs", "whole")));
    assert.ok(!existsSync(join(cwd, "runs", "cut", "02-pretrain", "checkpoints")));
  }));

Deno.test("inspect marks what is trained, eval measures perplexity and answers of files", () =>
  withFolder(async (cwd) => {
    await writeTinyModel(join(cwd, "tiny"), { chatTemplate: template });
    const turns = [{ role: "user", content: "hello" }, { role: "assistant", content: "world" }];
    writeFileSync(join(cwd, "chat.jsonl"), JSON.stringify({ messages: turns, answer: "7" }) + "\n");
    writeFileSync(join(cwd, "text.jsonl"), JSON.stringify({ text: "hello there" }) + "\n");
    const model = ["--model", "tiny"];
    const shown = await runTask("inspect", [...model, "--data", "chat.jsonl"], { cwd });
    assert.deepEqual(
      [shown.code, /\[world.*\]/.test(shown.out)],
      [0, true],
      shown.errors + shown.out,
    );
    assert.ok(!shown.out.includes("[hello"));
    const beyond = await runTask("inspect", [...model, "--data", "chat.jsonl", "--from", "2"], {
      cwd,
    });
    assert.deepEqual([beyond.code, beyond.errors.split("\n").at(-2)], [
      2,
      "inspect: --from is beyond the last row, 2 given (1 rows). Lower it.",
    ]);
    const files = ["--data", "chat.jsonl", "--data", "text.jsonl", "--max-tokens", "4", "--json"];
    const measured = await runTask("eval", [...model, ...files], { cwd });
    assert.equal(measured.code, 0, measured.errors);
    const { perplexity, answers } = lastJson(measured) as {
      perplexity: { tokens: number; perplexity: number };
      answers: { mode: string; problems: number }[];
    };
    assert.ok(perplexity.tokens > 0 && perplexity.perplexity > 1);
    assert.deepEqual(answers.map(({ mode, problems }) => [mode, problems]), [["on", 1], [
      "off",
      1,
    ]]);
  }));

Deno.test("without a model and without a run, commands say how to get one", () =>
  withFolder(async (cwd) => {
    const { code, errors } = await runTask("generate", ["--prompt", "x"], { cwd });
    assert.deepEqual([code, errors], [
      2,
      "generate: --model is missing. Give it a MODEL, or train one with deno task train, or see --help.\n",
    ]);
  }));
