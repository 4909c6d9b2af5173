/** `deno task train` as users run it. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readStepLog } from "../../train/runs/step_log.ts";
import {
  interruptTask,
  lastJson,
  runTask,
  template,
  withFolder,
  writeTinyModel,
} from "./support.ts";

/** A small run on words, whose steps take milliseconds. */
const small = [
  ...[
    "--data",
    "words.jsonl",
    "--steps",
    "30",
    "--batch-tokens",
    "128",
    "--shape.vocabulary",
    "270",
  ],
  ...["--shape.dim", "16", "--shape.layers", "1", "--shape.heads", "2", "--shape.kv-heads", "1"],
  ...["--shape.hidden", "16", "--shape.context", "32", "--evaluate-every", "10"],
  ...["--sample-every", "15", "--checkpoint-every", "5", "--held-out", "0.2"],
];

/** Texts of a few words. */
function writeWords(folder: string): void {
  const words = ["sun", "moon", "star", "sea", "wind", "tree"];
  const rows = Array.from({ length: 60 }, (_, i) => {
    const text = Array.from({ length: 12 }, (_, j) => words[(i * j + j) % words.length]).join(" ");
    return JSON.stringify({ text });
  });
  writeFileSync(join(folder, "words.jsonl"), rows.join("\n") + "\n");
}

/** What a run computed, without what its speed was. */
function curve(folder: string): unknown[] {
  return readStepLog(join(folder, "metrics.jsonl")).map((line) =>
    ["step", "loss", "lr", "grad_norm", "tokens", "eval/loss"].map((name) => line[name])
  );
}

Deno.test("a model is trained, and text made from it; a pipe gets no escape codes", () =>
  withFolder(async (cwd) => {
    writeWords(cwd);
    const args = ["pretrain", ...small, "--name", "first", "--json"];
    const outcome = await runTask("train", args, { cwd });
    assert.equal(outcome.code, 0, outcome.errors);
    assert.ok(!(outcome.errors + outcome.out).includes("\x1b"));
    assert.match(outcome.errors, /pretrain {2}30\/30 {2}loss [\d.]+ {2}[\d.]+k? tok\/s/);
    assert.match(outcome.errors, /evaluated after step 30: loss [\d.]+ {2}perplexity/);
    assert.match(outcome.errors, /sample after step 15: /);
    const { step, reason, model } = lastJson(outcome);
    assert.deepEqual([step, reason], [30, "finished"]);
    const folder = join(cwd, "runs", "first");
    assert.deepEqual(
      curve(folder).filter((line) => (line as unknown[])[1] !== undefined).length,
      30,
    );
    assert.ok(readdirSync(folder).some((name) => name.startsWith("events.out.tfevents.")));
    const made = await runTask("generate", ["--model", String(model), "--prompt", "sun"], { cwd });
    assert.equal(made.code, 0, made.errors);
  }));

for (const signal of ["SIGINT", "SIGKILL"] as const) {
  Deno.test(`a run that ${signal} ended goes on to the same curve and the same bits`, () =>
    withFolder(async (cwd) => {
      writeWords(cwd);
      const long = ["pretrain", ...small, "--steps", "300"];
      const whole = await runTask("train", [...long, "--name", "whole"], { cwd });
      assert.equal(whole.code, 0, whole.errors);
      const { code, errors } = await interruptTask("train", [...long, "--name", "cut"], {
        cwd,
        at: / {2}[4-9]\d\/\d+ {2}loss/,
        signal,
      });
      assert.notEqual(code, 0);
      if (signal === "SIGINT") {
        assert.equal(code, 130);
        assert.match(
          errors,
          /saved after step \d+ of 300\. Go on with it:\n {2}deno task train --resume cut\n$/,
        );
      }
      assert.ok(!existsSync(join(cwd, "runs", "cut", "model")));
      const rest = await runTask("train", ["--resume"], { cwd });
      assert.equal(rest.code, 0, rest.errors);
      assert.match(rest.errors, /goes on after step \d+/);
      const [one, other] = ["whole", "cut"].map((name) => join(cwd, "runs", name));
      assert.deepEqual(curve(other), curve(one));
      const weights = (folder: string) => readFileSync(join(folder, "model", "model.safetensors"));
      assert.deepEqual(weights(other), weights(one));
    }));
}

Deno.test("supervised fine-tuning trains a model, or adapters that are merged into it", () =>
  withFolder(async (cwd) => {
    await writeTinyModel(join(cwd, "tiny"), { chatTemplate: template });
    const row = {
      messages: [{ role: "user", content: "hello" }, { role: "assistant", content: "world" }],
    };
    writeFileSync(join(cwd, "chat.jsonl"), `${JSON.stringify(row)}\n`.repeat(20));
    const args = [
      "sft",
      "--model",
      "tiny",
      "--data",
      "chat.jsonl",
      "--steps",
      "8",
      "--dtype",
      "f32",
    ];
    const sizes = [
      "--batch-tokens",
      "64",
      "--held-out",
      "0.2",
      "--lr",
      "0.01",
      "--evaluate-every",
      "4",
    ];
    for (const more of [[], ["--lora.rank", "2"]]) {
      const outcome = await runTask("train", [...args, ...sizes, ...more, "--json"], { cwd });
      assert.equal(outcome.code, 0, outcome.errors);
      const { metrics } = lastJson(outcome) as { metrics: Record<string, number> };
      const adapters = more.length > 0;
      // A random model begins at ln 320 = 5.8; adapters that begin at 0 are slower.
      assert.ok(metrics["eval/loss"] < (adapters ? 5.6 : 5), JSON.stringify(metrics));
    }
  }));

Deno.test("a dry run counts parameters, memory, operations and time, and writes nothing", () =>
  withFolder(async (cwd) => {
    writeWords(cwd);
    const outcome = await runTask("train", ["pretrain", ...small, "--dry-run", "--json"], { cwd });
    assert.equal(outcome.code, 0, outcome.errors);
    const { parameters, steps, tokens, memory } = lastJson(outcome) as Record<string, number>;
    assert.deepEqual([steps, tokens], [30, 30 * 128]);
    assert.equal(parameters, 270 * 16 + 16 + (2 * 16 + 16 * (16 + 8 + 8 + 16) + 3 * 16 * 16));
    assert.equal(typeof memory, "object");
    assert.ok(!existsSync(join(cwd, "runs")));
  }));

Deno.test("what makes no sense is told with its fix, has exit code 2, and leaves nothing behind", () =>
  withFolder(async (cwd) => {
    writeWords(cwd);
    await writeTinyModel(join(cwd, "tiny"), { chatTemplate: template });
    writeFileSync(join(cwd, "broken.yaml"), "stage: sft\ndata: : x\n");
    writeFileSync(
      join(cwd, "unknown.yaml"),
      "stage: pretrain\ndata: words.jsonl\nshape:\n  layer: 2\n",
    );
    const turns = [{ role: "user", content: "x".repeat(200) }, { role: "assistant", content: "y" }];
    writeFileSync(join(cwd, "long.jsonl"), JSON.stringify({ messages: turns }) + "\n");
    writeFileSync(join(cwd, "bad.jsonl"), '{"text": "fine"}\n{"text": \n');
    const before = readdirSync(cwd).sort();
    const sft = ["sft", "--model", "tiny", "--data"];
    const cases: [args: string[], message: RegExp][] = [
      [
        ["pretrain", "--data", "nowhere"],
        /nowhere: there is no such file or folder\. Check the path/,
      ],
      [["pretrain", "--config", "no.yaml"], /^config: there is no file no\.yaml\. Check --config/m],
      [["--config", "broken.yaml"], /broken\.yaml:2: Nested mappings are not allowed/],
      [
        ["--config", "unknown.yaml"],
        /unknown\.yaml:4: shape\.layer is no key .* Did you mean shape\.layers\?/,
      ],
      [["pretrain", "--dta", "x"], /there is no option --dta\. Did you mean --data\?/],
      [["pretrain", ...small, "--lr", "fast"], /--lr must be a number, "fast" given\. Try 0\.001/],
      [["pretrain", ...small, "--epochs", "2"], /--epochs contradicts steps/],
      [["pretrain"], /data is missing: .* Give --data PATH/],
      [["pretrian"], /there is no stage "pretrian"\. Did you mean pretrain\?/],
      [
        ["sft", "--config", "unknown.yaml"],
        /unknown\.yaml:1: stage is pretrain, and sft was asked for/,
      ],
      [
        [...sft, "long.jsonl"],
        /long\.jsonl, line 1: the row is longer than the context, \d+ tokens \(64\)/,
      ],
      [[...sft, "bad.jsonl", "--held-out", "0"], /bad\.jsonl, line 2: it is not JSON/],
      [
        [...sft, "words.jsonl", "--context", "99"],
        /context must be at most the 64 tokens .* 99 given/,
      ],
      [
        ["sft", "--model", "nowhere", "--data", "words.jsonl"],
        /there is no file or folder "nowhere"/,
      ],
      [["--resume"], /there is no unfinished run/],
      [["--resume", "x", "--lr", "1"], /a resumed run keeps its configuration, --lr given/],
    ];
    for (const [args, message] of cases) {
      const { code, out, errors } = await runTask("train", args, { cwd });
      assert.match(errors, message);
      assert.deepEqual([code, out], [2, ""], errors);
      assert.deepEqual(readdirSync(cwd).sort(), before, args.join(" "));
    }
  }));
