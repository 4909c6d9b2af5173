/** The package as a tarball for npm, installed and used under Deno. Node has no FFI of Deno's, and is not served. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { template, withFolder, writeTinyModel } from "../cli/support.ts";
import {
  publishedFiles,
  readPackageFile,
  root,
  runIn,
  trainingProgram,
  tryServer,
} from "./support.ts";

const own = readPackageFile();

async function hasNpm(): Promise<boolean> {
  try {
    return (await runIn(root, ["npm", "--version"])).code === 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

const npm = await hasNpm();

Deno.test({
  name: "the npm tarball is installed by npm, has types, trains and serves under Deno" +
    (npm ? "" : " (there is no npm)"),
  ignore: !npm,
  fn: () =>
    withFolder(async (cwd) => {
      const tarball = join(cwd, "denotron.tgz"), deno = Deno.execPath();
      const packed = await runIn(root, [deno, "pack", "--allow-dirty", "-o", tarball]);
      assert.equal(packed.code, 0, packed.errors);
      Deno.writeTextFileSync(join(cwd, "package.json"), '{ "type": "module", "private": true }');
      const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
      const installed = await runIn(cwd, ["npm", "install", ...flags, tarball]);
      assert.equal(installed.code, 0, installed.errors);

      // Whatever is no program is there as it was.
      const folder = join(cwd, "node_modules", ...own.name.split("/"));
      const assets = publishedFiles(own).filter((path) =>
        /\.(c|h|cu|cuh|yaml|html|css)$/.test(path)
      );
      for (const path of assets) {
        assert.deepEqual(
          Deno.readFileSync(join(folder, path)),
          Deno.readFileSync(join(root, path)),
        );
      }

      Deno.writeTextFileSync(join(cwd, "train.ts"), trainingProgram(own.name));
      const trained = await runIn(cwd, [deno, "run", "-A", "--check", "train.ts"]);
      assert.equal(trained.code, 0, trained.errors);
      const { first, last } = JSON.parse(trained.out) as Record<string, number>;
      assert.ok(last < first / 2, trained.out);
      const wrong = `import { Tensor } from "${own.name}";\nTensor.from("one", [1]);\n`;
      Deno.writeTextFileSync(join(cwd, "wrong.ts"), wrong);
      const checked = await runIn(cwd, [deno, "check", "wrong.ts"]);
      assert.match(checked.errors, /TS2345/);

      await writeTinyModel(join(cwd, "model"), { chatTemplate: template });
      const program = join(folder, "cli", "mod.js");
      const command = [deno, "run", "-A", program];
      await tryServer(cwd, [...command, "serve", "--model", "model", "--port", "0"]);
      const args = ["convert", "--model", "model", "--out", "model.gguf"];
      const converted = await runIn(cwd, [...command, ...args]);
      assert.equal(converted.code, 0, converted.errors);
    }),
});
