import assert from "node:assert/strict";
import { ConfigError } from "../../../train/config/errors.ts";
import { fieldsOf, flagOf, flagValue, keyOf } from "../../../train/config/fields.ts";
import { resolveConfig } from "../../../train/config/resolve.ts";
import { recipeSchema } from "../../../train/config/recipe_schema.ts";
import { pretrainSchema, sftSchema } from "../../../train/config/schema.ts";
import { parseYamlFile } from "../../../train/config/yaml_file.ts";

/** The configuration of flags as they are typed, over a file. */
function pretrain(flags: Readonly<Record<string, string>>, yaml: string | null = null) {
  const fields = fieldsOf(pretrainSchema);
  return resolveConfig(pretrainSchema, {
    file: yaml === null ? null : parseYamlFile("x.yaml", yaml),
    flags: Object.entries(flags).map(([flag, text]) => {
      const field = fields.find(({ path }) => flagOf(path) === flag)!;
      return { path: field.path, value: flagValue(field, [text]) };
    }),
  });
}

Deno.test("flags win over the file, the file over defaults", () => {
  const config = pretrain(
    { "--lr": "3e-4", "--shape.kv-heads": "1" },
    "data: a.txt\nlr: 1\nseed: 7\n",
  );
  assert.deepEqual([config.lr, config.seed, config.batchTokens], [3e-4, 7, 2048]);
  assert.deepEqual(config.data, [{ path: "a.txt", weight: 1 }]);
  assert.deepEqual([config.shape.kvHeads, config.shape.heads], [1, 4]);
});

Deno.test("data is a path, paths, or paths with weights; a flag takes several", () => {
  assert.deepEqual(pretrain({ "--data": "a.txt,b" }).data, [
    { path: "a.txt", weight: 1 },
    { path: "b", weight: 1 },
  ]);
  const weighted = "data:\n  - {path: a, weight: 3}\n  - b\n";
  assert.deepEqual(pretrain({}, weighted).data, [
    { path: "a", weight: 3 },
    { path: "b", weight: 1 },
  ]);
});

Deno.test("lists of numbers are written with commas, and anything else as in YAML", () => {
  const field = fieldsOf(recipeSchema).find(({ path }) => keyOf(path) === "tasks.levels")!;
  assert.deepEqual(flagValue(field, ["1,2"]), [1, 2]);
  assert.deepEqual(flagValue(field, ["[3]"]), [3]);
  const data = fieldsOf(pretrainSchema).find(({ path }) => keyOf(path) === "data")!;
  assert.deepEqual(flagValue(data, ["[{path: a, weight: 2}]"]), [{ path: "a", weight: 2 }]);
});

Deno.test("a resolved configuration resolves to itself", () => {
  const config = pretrain({}, "data: [a, b]\nsteps: 30\n");
  assert.deepEqual(pretrain({}, JSON.stringify(config)), config);
});

Deno.test("every mistake is named with its line or flag, and with what to write instead", () => {
  const cases: [yaml: string, flags: Record<string, string>, messages: string[]][] = [
    [
      "data: a\nlerning_rate: 3\n\nshape:\n  hiden: 3\n",
      {},
      [
        "x.yaml:5: shape.hiden is no key that there is. Did you mean shape.hidden?",
        "x.yaml:2: lerning_rate is no key that there is. See --help for all keys.",
      ],
    ],
    ["data: a\nbatch_tokens: 9\n", {}, [
      "x.yaml:2: batch_tokens is no key that there is. Did you mean batchTokens?",
    ]],
    ["data: a\nkvHeads: 9\n", {}, [
      "x.yaml:2: kvHeads is no key that there is. Did you mean shape.kvHeads?",
    ]],
    ["data: a\nlr: fast\n", {}, ['x.yaml:2: lr must be a number, "fast" given. Try 0.001.']],
    ["data: a\nlr: 1\n", { "--lr": "-1" }, ["--lr must be more than 0, -1 given. Try 0.001."]],
    ["data: a\nschedule: cosin\n", {}, [
      'x.yaml:2: schedule must be one of constant, cosine, linear, wsd, steep, "cosin" given. Did you mean cosine?',
    ]],
    ["seed: 0.5\ndata: a\n", {}, ["x.yaml:1: seed must be a whole number, 0.5 given. Try 0."]],
    ["lr: 1\n", {}, [
      "data is missing: Files or folders of rows: JSON Lines, Parquet or text; a list makes a mix. " +
      "Give --data PATH, or write it in x.yaml.",
    ]],
    ["data: a\nsteps: 3\n", { "--epochs": "2" }, [
      "--epochs contradicts steps, of which one is enough, 2 given. Change one of them.",
    ]],
    ["data: a\nshape:\n  dim: 100\n  heads: 3\n  kvHeads: 1\n", {}, [
      "x.yaml:4: shape.heads must divide dim 100 into heads of even size, 3 given. Change one of them.",
    ]],
  ];
  for (const [yaml, flags, messages] of cases) {
    assert.throws(() => pretrain(flags, yaml), (error: ConfigError) => {
      assert.deepEqual(error.mistakes, messages);
      return error instanceof ConfigError;
    });
  }
});

Deno.test("malformed YAML is named with its line", () => {
  const message = (text: string): string => {
    try {
      parseYamlFile("x.yaml", text);
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  };
  assert.equal(
    message("lr: 1\ndata: : x\n"),
    "config: x.yaml:2: Nested mappings are not allowed in compact mappings. Correct the YAML there.",
  );
  assert.equal(
    message("- a\n"),
    'config: x.yaml:1: this is no list of keys. Write them as "key: value".',
  );
  assert.match(message("lr: 1\nlr: 2\n"), /^config: x\.yaml:2: Map keys must be unique/);
});

Deno.test("every key has a help text and a flag that no other key has", () => {
  for (const schema of [pretrainSchema, sftSchema]) {
    const fields = fieldsOf(schema);
    assert.deepEqual(fields.filter(({ help }) => help === "").map(({ path }) => path), []);
    const flags = fields.map(({ path }) => flagOf(path));
    assert.equal(new Set(flags).size, flags.length);
  }
});
