import assert from "node:assert/strict";
import { main } from "../../cli/train.ts";
import { fieldsOf, flagOf } from "../../train/config/fields.ts";
import { recipeSchema } from "../../train/config/recipe_schema.ts";
import { pretrainSchema, sftSchema } from "../../train/config/schema.ts";
import { distillSchema, puzzleSchema } from "../../train/config/search_schema.ts";
import { runMain } from "./support.ts";

Deno.test("the help of each stage has every key, and no other option but a few of its own", async () => {
  const cases = [
    [[], recipeSchema],
    [["pretrain"], pretrainSchema],
    [["sft"], sftSchema],
    [["puzzle"], puzzleSchema],
    [["distill"], distillSchema],
  ] as const;
  const own = ["--config", "--runs", "--resume", "--dry-run", "--threads", "--json", "--help"];
  for (const [stage, schema] of cases) {
    const { code, out } = await runMain(main, [...stage, "--help"]);
    assert.equal(code, 0);
    const shown = out.match(/(?<=^ {2})--[\w.-]+/gm);
    const keys = fieldsOf(schema).map(({ path }) => flagOf(path));
    assert.deepEqual(shown, [...own.slice(0, -1), ...keys, "--help"]);
    assert.deepEqual(out.split("\n").filter((line) => line.length > 80), []);
  }
});
