/** `deno task summary`, in this process. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { main } from "../../cli/summary.ts";
import { parameters, writeGgufCheckpoint } from "../../nn/mod.ts";
import { openCheckpoint } from "../../nn/mod.ts";
import {
  hasShared,
  lastJson,
  runMain,
  SHARED,
  tinySpec,
  withFolder,
  writeTinyModel,
} from "./support.ts";

const tinyCount = parameters(tinySpec)
  .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);

Deno.test("a folder, its config alone and a GGUF file have one summary", () =>
  withFolder(async (temporary) => {
    const folder = join(temporary, "model"), file = join(temporary, "model.gguf");
    await writeTinyModel(folder);
    {
      using source = openCheckpoint(folder);
      writeGgufCheckpoint(file, source);
    }
    for (const place of [file, folder, join(folder, "config.json")]) {
      // A folder without weights comes after the file that is made of them.
      if (place === folder) Deno.removeSync(join(folder, "model.safetensors"));
      const outcome = await runMain(main, ["--model", place, "--json"]);
      assert.equal(outcome.code, 0, outcome.errors);
      const json = lastJson(outcome) as { parameters: { total: number }; context: number };
      assert.deepEqual([json.parameters.total, json.context], [tinyCount, tinySpec.context]);
      assert.match(outcome.out, /^0\.\d+ M parameters, attention in 2 of 2 blocks\n/);
    }
  }));

Deno.test("--context is the length that is counted for", () =>
  withFolder(async (temporary) => {
    await writeTinyModel(temporary);
    const args = ["--model", temporary, "--context", "7", "--json"];
    assert.equal(lastJson(await runMain(main, args)).context, 7);
  }));

for (
  const [name, size, blocks] of [
    ["LN-Super-49B", "49.867 B", "49 of 80"],
    ["LN-Ultra-253B", "253.401 B", "64 of 162"],
  ]
) {
  Deno.test({
    name: `${name} has ${size} parameters and attention in ${blocks} blocks`,
    ignore: !hasShared("configs"),
    async fn() {
      const model = fileURLToPath(new URL(`configs/${name}.config.json`, SHARED));
      const { code, out } = await runMain(main, ["--model", model]);
      assert.equal(code, 0);
      assert.ok(out.startsWith(`${size} parameters, attention in ${blocks} blocks\n`), out);
    },
  });
}

Deno.test("files that describe no model are refused in one line", () =>
  withFolder(async (temporary) => {
    const cases: [string, string | null, RegExp][] = [
      ["none", null, /^model: there is no file or folder "/],
      ["broken.json", "{", /^summary: .*broken\.json is not JSON, .*Download it again\.\n$/],
      [
        "list.json",
        "[]",
        /^summary: .*list\.json is not a JSON object\. Give a model's config\.json\.\n$/,
      ],
      [
        "other.json",
        '{"architectures": ["Bert"]}',
        /^config\.json: unknown architecture, "Bert"\./,
      ],
      ["text.txt", "hello", /^checkpoint: .*text\.txt is not a checkpoint by itself\./],
    ];
    for (const [name, text, message] of cases) {
      const path = join(temporary, name);
      if (text !== null) Deno.writeTextFileSync(path, text);
      const { code, out, errors } = await runMain(main, ["--model", path]);
      assert.deepEqual([code, out], [2, ""]);
      assert.match(errors, message);
    }
  }));
