/** `deno task convert`, in this process, on a random model. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { main } from "../../cli/convert.ts";
import { main as generate } from "../../cli/generate.ts";
import { openCheckpoint } from "../../nn/mod.ts";
import "../support.ts";
import {
  lastJson,
  type Outcome,
  runMain,
  template,
  withFolder,
  writeTinyModel,
} from "./support.ts";

/** Runs a test beside a random model with a chat template. */
function convertTest(name: string, body: (at: (name: string) => string) => Promise<void>): void {
  Deno.test(name, () =>
    withFolder(async (temporary) => {
      await writeTinyModel(join(temporary, "model"), { chatTemplate: template });
      await body((name) => join(temporary, name));
    }));
}

const names = (folder: string): string[] =>
  [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

function convert(from: string, to: string, ...more: string[]): Promise<Outcome> {
  return runMain(main, ["--model", from, "--out", to, ...more]);
}

async function idsFrom(model: string): Promise<unknown> {
  const args = ["--model", model, "--prompt", "hello", "--max-tokens", "6", "--json"];
  const outcome = await runMain(generate, args);
  assert.equal(outcome.code, 0, outcome.errors);
  const { ids, promptIds, text } = lastJson(outcome);
  return { ids, promptIds, text };
}

convertTest(
  "a model keeps its answers through GGUF and back, tokenizer and template included",
  async (at) => {
    const expected = await idsFrom(at("model"));
    const file = await convert(at("model"), at("model.gguf"));
    assert.equal(file.code, 0, file.errors);
    assert.match(file.out, /^\/.*model\.gguf {2}[\d.]+ kB\n$/);
    assert.deepEqual(await idsFrom(at("model.gguf")), expected);
    const folder = await convert(at("model.gguf"), at("back"));
    assert.equal(folder.code, 0, folder.errors);
    for (const name of ["config.json", "model.safetensors", "tokenizer.json"]) {
      assert.ok(folder.out.includes(`\n  ${name}`), folder.out);
    }
    assert.deepEqual(await idsFrom(at("back")), expected);
  },
);

convertTest("weights are stored as asked for", async (at) => {
  const stored = (path: string): unknown[] => {
    using source = openCheckpoint(path);
    const { dtype, shape } = source.entries.get("blocks.0.ffn.gate.weight")!;
    return [dtype, ...shape];
  };
  await convert(at("model"), at("half"), "--dtype", "bf16");
  assert.deepEqual(stored(at("half")), ["bf16", 48, 32]);
  await convert(at("model"), at("q.gguf"), "--dtype", "q8_0");
  assert.deepEqual(stored(at("q.gguf")), ["q8_0", 48, 32]);
  // Safetensors has no blocks.
  const back = await convert(at("q.gguf"), at("back"));
  assert.equal(back.code, 0, back.errors);
  assert.deepEqual(stored(at("back")), ["f16", 48, 32]);
});

convertTest("shards are no larger than asked for", async (at) => {
  const { code } = await convert(at("model"), at("shards"), "--max-shard-size", "60kB");
  assert.equal(code, 0);
  const shards = names(at("shards")).filter((name) => name.endsWith(".safetensors"));
  assert.ok(shards.length > 1 && names(at("shards")).includes("model.safetensors.index.json"));
  for (const name of shards) assert.ok(Deno.statSync(join(at("shards"), name)).size < 70e3, name);
  assert.deepEqual(await idsFrom(at("shards")), await idsFrom(at("model")));
});

convertTest("what is there is replaced only with --force, and only by its like", async (at) => {
  await convert(at("model"), at("m.gguf"));
  Deno.mkdirSync(at("photos"));
  Deno.writeTextFileSync(join(at("photos"), "me.png"), "");
  await convert(at("model"), at("other"));
  const before = names(at("."));
  const cases: [string, string[], RegExp][] = [
    [at("m.gguf"), [], /m\.gguf exists already\. Add --force to replace it\.\n$/],
    [at("other"), [], /other exists already\. Add --force to replace it\.\n$/],
    [at("photos"), ["--force"], /photos exists and is no such model\. Choose another --out\.\n$/],
    [at("m.gguf"), ["--force", "--format", "hf"], /--format hf writes a folder/],
    [at("other"), ["--force", "--format", "gguf"], /exists and is no such model/],
    [at("model"), ["--force"], /--model and --out are the same\./],
    [at("new"), ["--dtype", "q8_0"], /--dtype q8_0 exists in GGUF only\./],
    [at("new"), ["--tokenizer", at("none")], /^tokenizer: there is no file or folder/],
  ];
  for (const [out, more, message] of cases) {
    const { code, errors } = await convert(at("model"), out, ...more);
    assert.equal(code, 2, out);
    assert.match(errors, message);
  }
  assert.deepEqual(names(at(".")), before);
  assert.equal((await convert(at("model"), at("m.gguf"), "--force", "--dtype", "f16")).code, 0);
  assert.equal((await convert(at("m.gguf"), at("other"), "--force")).code, 0);
  assert.deepEqual(names(at(".")), before);
});

convertTest("Ctrl-C leaves nothing behind", async (at) => {
  const before = names(at("."));
  const onText = (_: string, interrupt: () => void): void => interrupt();
  const args = ["--model", at("model"), "--out", at("new")];
  const { code, errors } = await runMain(main, args, { onText });
  assert.equal(code, 130);
  assert.match(errors, /^converting .*\n(.*\n)*convert: stopped, nothing was written\n$/);
  assert.deepEqual(names(at(".")), before);
});

convertTest("weights that cannot be read leave nothing behind", async (at) => {
  const file = join(at("model"), "model.safetensors");
  Deno.truncateSync(file, 1000);
  const before = names(at("."));
  const { code, errors } = await convert(at("model"), at("new"));
  assert.equal(code, 2);
  assert.match(errors, /^\S+: .*\n$/);
  assert.deepEqual(names(at(".")), before);
});

convertTest("a model without a tokenizer is converted, and that is said", async (at) => {
  Deno.removeSync(join(at("model"), "tokenizer.json"));
  const { code, errors } = await convert(at("model"), at("m.gguf"));
  assert.equal(code, 0);
  assert.match(errors, /^convert: the model carries no tokenizer, .*Add --tokenizer FILE/);
});
