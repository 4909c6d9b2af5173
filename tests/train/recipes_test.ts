/** The recipes that come with the package, and what a dry run says of them. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { device } from "../../tensor/mod.ts";
import { type Recipe, recipeSchema } from "../../train/config/recipe_schema.ts";
import { merged } from "../../train/config/resolve.ts";
import { estimateRecipe } from "../../train/pipeline/estimate.ts";
import { stagesOf } from "../../train/pipeline/pipeline.ts";
import { lastJson, runTask, withFolder } from "../cli/support.ts";

type Tree = Readonly<Record<string, unknown>>;

const folder = fileURLToPath(new URL("../../train/recipes/", import.meta.url));
const published = ["nano", "super", "ultra"].map((size) => `llama-nemotron-${size}.yaml`);

function read(name: string): { readonly stated: Tree; readonly assumed: Tree } {
  const { assumed = {}, ...stated } = parse(Deno.readTextFileSync(folder + name)) as Tree;
  return { stated, assumed: assumed as Tree };
}

/** A recipe as the command reads it. */
function resolved({ stated, assumed }: ReturnType<typeof read>): Recipe {
  return recipeSchema.parse(merged(merged(read("default.yaml").stated, assumed), stated));
}

/** The dotted names of everything that has a value. */
function keys(tree: Tree, prefix = ""): string[] {
  return Object.entries(tree).flatMap(([key, value]) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? keys(value as Tree, `${prefix}${key}.`)
      : [prefix + key]
  );
}

/** How often something is looked at, saved or shown: no part of a published recipe. */
const isOwnBusiness =
  /(evaluateEvery|sampleEvery|checkpointEvery|keepLast|keepBest|spikeFactor|eps|draws|rounds)$|^(tasks|tokenizer|pretrain)\.|Share$|weakLevels|beta$/;

for (const name of readdirSync(folder)) {
  Deno.test(`recipes/${name} is found by its name and fits the schema`, () =>
    withFolder(async (cwd) => {
      const { code, errors } = await runTask("train", ["--config", `recipes/${name}`, "--help"], {
        cwd,
      });
      assert.equal(code, 0, errors);
      resolved(read(name));
    }));
}

for (const name of published) {
  Deno.test(`recipes/${name} leaves nothing of its stages to defaults, and states nothing twice`, () => {
    const { stated, assumed } = read(name), recipe = resolved({ stated, assumed });
    const given = keys(merged(assumed, stated));
    assert.deepEqual(keys(assumed).filter((key) => keys(stated).includes(key)), []);
    const sections = [...recipe.stages!, "dtype", "seed"];
    const needed = keys(recipe as unknown as Tree).filter((key) =>
      sections.includes(key.split(".")[0]) && !isOwnBusiness.test(key)
    );
    assert.deepEqual(needed.filter((key) => !given.includes(key)), []);
  });
}

Deno.test("a dry run counts every stage of LN-Super and LN-Ultra, with the sizes of the released models", () =>
  withFolder(async (cwd) => {
    for (
      const [size, parent, child, stages] of [
        [
          "super",
          70_553_706_496,
          49_867_145_216,
          "parent puzzle distill sft filter grpo evaluation",
        ],
        [
          "ultra",
          405_853_388_800,
          253_401_268_224,
          "parent puzzle fusion distill cpt sft filter grpo evaluation",
        ],
      ] as const
    ) {
      const args = ["--config", `recipes/llama-nemotron-${size}.yaml`, "--dry-run", "--json"];
      const outcome = await runTask("train", args, { cwd });
      assert.equal(outcome.code, 0, outcome.errors);
      const said = lastJson(outcome) as Record<string, Record<string, unknown>>;
      assert.deepEqual([said.parent.parameters, said.child.parameters], [parent, child]);
      assert.equal(said.child.origin, "published");
      const costs = said.stages as unknown as Record<string, unknown>[];
      assert.equal(costs.map((one) => one.name).join(" "), stages);
      for (const { name, flops, gpuHours, totalMemory } of costs) {
        if (name === "parent" || name === "fusion") continue;
        assert.ok(Number(flops) > 0 && Number(gpuHours) > 0 && Number(totalMemory) > 0, `${name}`);
      }
      assert.ok("lr" in (said.assumed.grpo as Tree));
      assert.match(outcome.out, /not published, chosen by this recipe\n.*\n {2}puzzle /s);
      assert.deepEqual([...Deno.readDirSync(cwd)], []);
    }
  }));

Deno.test("what a dry run counts of LN-Nano is its formula, and allocates nothing", async () => {
  const recipe = resolved(read("llama-nemotron-nano.yaml")), before = device().memory.inUse;
  const { stages, parent, gpu } = await estimateRecipe(recipe);
  assert.equal(device().memory.inUse, before);
  const sft = stages.find(({ name }) => name === "sft")!;
  assert.equal(sft.parameters, 8_030_261_248);
  assert.equal(sft.tokens, recipe.sft.steps * recipe.sft.batchTokens);
  // 6 per parameter but those of the embedding, and 12 · heads · headDim per layer and token that attention sees.
  const matrices = sft.parameters - parent.vocab * parent.dim - (2 * 32 + 1) * parent.dim;
  const seen = (recipe.sft.context! + 1) / 2;
  assert.equal(sft.flops, sft.tokens * (6 * matrices + 12 * 32 * parent.dim * seen));
  assert.equal(sft.memory.optimizer, 8 * sft.parameters);
  assert.ok(
    Math.abs(sft.seconds! / (sft.flops / (gpu!.teraflops * 1e12 * gpu!.utilisation)) - 1) < 1e-9,
  );
});

Deno.test("a dry run of any recipe counts the stages that it has, and the child that its limits allow", () =>
  withFolder(async (cwd) => {
    const args = ["--dry-run", "--json", "--puzzle.constraint", "parameters=0.9x"];
    const outcome = await runTask("train", args, { cwd });
    assert.equal(outcome.code, 0, outcome.errors);
    const { parent, child, stages } = lastJson(outcome) as Record<string, Record<string, unknown>>;
    const share = Number(child.parameters) / Number(parent.parameters);
    assert.ok(share > 0.8 && share <= 0.9, String(share));
    const names = stagesOf(resolved(read("default.yaml"))).map(({ name }) => name).filter((name) =>
      name !== "tokenizer"
    );
    const costs = stages as unknown as Record<string, unknown>[];
    assert.deepEqual(costs.map(({ name }) => name), names);
    assert.ok(costs.every(({ name, seconds }) => name === "fusion" || Number(seconds) > 0));
  }));

Deno.test("a published recipe is refused where it does not fit, before anything is downloaded", () =>
  withFolder(async (cwd) => {
    const { code, errors } = await runTask("train", ["--config", `recipes/${published[2]}`], {
      cwd,
    });
    assert.equal(code, 2);
    assert.match(
      errors,
      /Llama-3\.1-405B-Instruct is too large to train here, .* Give a smaller --model/,
    );
  }));
