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
const small = [
  ...["--pretrain.shape.dim", "16", "--pretrain.shape.layers", "1", "--pretrain.shape.heads", "1"],
  ...["--pretrain.shape.kv-heads", "1", "--pretrain.shape.hidden", "16", "--tokenizer.rows", "100"],
  ...["--pretrain.steps", "60", "--pretrain.warmup", "3", "--pretrain.decay-steps", "20"],
  ...["--pretrain.checkpoint-every", "20", "--pretrain.evaluate-every", "40"],
  ...["--sft.steps", "60", "--sft.warmup", "2", "--sft.checkpoint-every", "20"],
  ...["--sft.batch-tokens", "512", "--pretrain.batch-tokens", "512"],
  ...["--evaluation.problems", "4", "--evaluation.max-tokens", "8"],
  ...["--search.library.steps", "2", "--search.distill.steps", "4", "--search.pretrain.steps", "2"],
  ...[
    "--search.batch-tokens",
    "512",
    "--search.held-out-rows",
    "20",
    "--search.scenario.new-tokens",
    "8",
  ],
  // Sizes are the same whenever they are measured; times are not.
  ...["--search.scenario.batch-sizes", "[2]", "--search.constraint", "parameters=0.97x"],
];

/** The model and the report of a run, without what its speed was. */
function results(folder: string): unknown {
  const text = readFileSync(join(folder, "report.json"), "utf8");
  const report = JSON.parse(text, (key, value) => /seconds$|PerSecond$/i.test(key) ? 0 : value);
  return [report, readFileSync(join(folder, "04-sft", "model", "model.safetensors"))];
}

Deno.test("the recipe leaves a report and models, which the other commands find by themselves", () =>
  withFolder(async (cwd) => {
    const outcome = await runTask("train", [...small, "--name", "first", "--json"], { cwd });
    assert.equal(outcome.code, 0, outcome.errors);
    assert.ok(!(outcome.out + outcome.errors).includes("\x1b"));
    for (
      const line of [
        /\[1\/5\] tokenizer: /,
        /pretrain is done in 0:\d\d: steps 60 /,
        /\[5\/5\] evaluation/,
      ]
    ) {
      assert.match(outcome.errors, line);
    }
    const { stages, parent, sft } = lastJson(outcome) as {
      stages: { name: string; seconds: number; tokens: number }[];
      parent: Record<string, number>;
      sft: Record<string, number>;
    };
    assert.deepEqual(stages.map(({ name }) => name), [
      "tokenizer",
      "pretrain",
      "search",
      "sft",
      "evaluation",
    ]);
    assert.ok(parent.loss > 0 && parent.parameters > 0 && parent.kvBytesPerToken === 64);
    assert.ok(sft.accuracyOn >= 0 && sft.accuracyOff >= 0);
    const generated = await runTask("generate", ["--prompt", "1 + 1", "--max-tokens", "2"], {
      cwd,
    });
    assert.equal(generated.code, 0, generated.errors);
    const measured = await runTask("eval", ["--rows", "2", "--max-tokens", "4", "--json"], { cwd });
    assert.equal(measured.code, 0, measured.errors);
    assert.equal((lastJson(measured).answers as unknown[]).length, 2);
    const listed = await runTask("runs", [], { cwd });
    assert.match(listed.out, /^run .*\nfirst +pipeline +finished +60 /);
  }));

Deno.test("the recipe goes on where it was interrupted or killed, to the same result", () =>
  withFolder(async (cwd) => {
    const whole = await runTask("train", [...small, "--name", "whole"], { cwd });
    assert.equal(whole.code, 0, whole.errors);
    const args = [...small, "--name", "cut"];
    const first = await interruptTask("train", args, {
      cwd,
      at: /pretrain {2}[34]\d\/60/,
      signal: "SIGINT",
    });
    assert.deepEqual(
      [first.code, /train --resume cut\n$/.test(first.errors)],
      [130, true],
      first.errors,
    );
    const second = await interruptTask("train", args, {
      cwd,
      at: /sft {2}[34]\d\/60/,
      signal: "SIGKILL",
    });
    assert.match(second.errors, /tokenizer: done before\n.*\n.*goes on after step \d+/s);
    const third = await runTask("train", ["--resume"], { cwd });
    assert.equal(third.code, 0, third.errors);
    assert.match(third.errors, /pretrain: done before/);
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
