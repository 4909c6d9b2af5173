import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { main } from "../../cli/train.ts";
import { openCheckpoint } from "../../nn/mod.ts";
import { lastJson, runMain, withFolder, writeTinyModel } from "./support.ts";

/** Texts of a few words. */
function writeWords(folder: string): string {
  const words = ["sun", "moon", "star", "sea", "wind", "tree"], path = join(folder, "words.jsonl");
  const rows = Array.from({ length: 60 }, (_, i) => {
    const text = Array.from({ length: 12 }, (_, j) => words[(i * j + j) % words.length]).join(" ");
    return JSON.stringify({ text });
  });
  writeFileSync(path, rows.join("\n") + "\n");
  return path;
}

Deno.test("a search and a distillation run from the command line, and leave models", async () => {
  await withFolder(async (folder) => {
    const model = join(folder, "parent"), runs = join(folder, "runs");
    await writeTinyModel(model);
    const common = ["--model", model, "--data", writeWords(folder), "--runs", runs, "--json"];
    const sizes = ["--batch-tokens", "64", "--context", "32", "--dtype", "f32"];
    const outcome = await runMain(main, [
      ...["puzzle", "--name", "search", ...common, ...sizes, "--held-out", "0.2"],
      ...["--constraint", "parameters=0.9x", "--library.steps", "3", "--distill.steps", "3"],
      ...["--pretrain.steps", "2", "--search.rounds", "1", "--search.draws", "2"],
      ...["--scenario.prompt-tokens", "4", "--scenario.new-tokens", "8"],
      ...["--scenario.batch-sizes", "[2]", "--variants.widths", "[0.5]"],
    ]);
    assert.equal(outcome.code, 0, outcome.errors);
    const models = lastJson(outcome).models as readonly { readonly name: string }[];
    assert.equal(models.at(-1)!.name, "pretrained");
    using child = openCheckpoint(join(runs, "search", "child"));
    using parent = openCheckpoint(model);
    assert.equal(child.spec.blocks.length, parent.spec.blocks.length);

    const student = join(runs, "search", "child");
    const distilled = await runMain(main, [
      ...["distill", "--name", "kd", ...common.with(1, student), ...sizes, "--teacher", model],
      ...["--steps", "3", "--on-policy.share", "0.5", "--on-policy.max-tokens", "4"],
      ...["--on-policy.prompt-tokens", "4"],
    ]);
    assert.equal(distilled.code, 0, distilled.errors);
    using taught = openCheckpoint(join(runs, "kd", "model"));
    assert.deepEqual(taught.spec, child.spec);

    const logits = join(folder, "logits"), onStudent = common.with(1, student);
    const written = await runMain(main, [
      ...["distill", ...onStudent, ...sizes, "--teacher", model, "--write-logits", logits],
      ...["--top-k", "8", "--steps", "3"],
    ]);
    assert.equal(written.code, 0, written.errors);
    const offline = await runMain(main, [
      ...["distill", "--name", "offline", ...onStudent, ...sizes, "--teacher-logits", logits],
      ...["--steps", "3"],
    ]);
    assert.equal(offline.code, 0, offline.errors);
  });
});

Deno.test("limits that cannot be kept are refused with the nearest value that can", async () => {
  await withFolder(async (folder) => {
    const model = join(folder, "parent"), runs = join(folder, "runs");
    await writeTinyModel(model);
    const { code, errors } = await runMain(main, [
      ...["puzzle", "--model", model, "--data", writeWords(folder), "--runs", runs],
      ...["--batch-tokens", "64", "--context", "32", "--dtype", "f32", "--library.steps", "0"],
      ...["--constraint", "parameters=0.01x", "--search.rounds", "1", "--held-out", "0.2"],
      ...["--scenario.prompt-tokens", "4", "--scenario.new-tokens", "8"],
      ...["--scenario.batch-sizes", "[2]"],
    ]);
    assert.notEqual(code, 0);
    assert.match(errors, /parameters at most .* is not possible.*the nearest is/s);
    // The library was the costly part: the next search takes it over.
    const [first] = Deno.readDirSync(runs).filter(({ isDirectory }) => isDirectory);
    const again = await runMain(main, [
      ...["puzzle", "--model", model, "--data", join(folder, "words.jsonl"), "--runs", runs],
      ...["--batch-tokens", "64", "--context", "32", "--dtype", "f32", "--library.steps", "0"],
      ...["--constraint", "parameters=0.8x", "--search.rounds", "1", "--held-out", "0.2"],
      ...["--scenario.prompt-tokens", "4", "--scenario.new-tokens", "8", "--search.draws", "1"],
      ...["--scenario.batch-sizes", "[2]", "--distill.steps", "0", "--pretrain.steps", "0"],
      ...["--from", join(runs, first.name)],
    ]);
    assert.equal(again.code, 0, again.errors);
    assert.ok(!again.errors.includes("scores of block"), again.errors);
    const wrong = await runMain(main, ["puzzle", "--model", model, "--constraint", "speed=2"]);
    assert.notEqual(wrong.code, 0);
  });
});
