/** The package from a registry, in a project that has nothing else. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { version } from "../../train/runs/version.ts";
import { template, withFolder, writeTinyModel } from "../cli/support.ts";
import {
  cacheWithoutSources,
  openRegistry,
  readPackageFile,
  runIn,
  trainingProgram,
  tryServer,
} from "./support.ts";

const { name } = readPackageFile();

Deno.test("a project that imports the package from a registry trains a model, with kernels that it fetches", () =>
  withFolder(async (cwd) => {
    await using registry = openRegistry();
    Deno.writeTextFileSync(join(cwd, "train.ts"), trainingProgram(`jsr:${name}`));
    const env = { JSR_URL: registry.url, DENOTRON_CACHE: cacheWithoutSources(join(cwd, "cache")) };
    const command = [Deno.execPath(), "run", "--no-prompt", "--no-lock"];
    const trained = await runIn(cwd, [...command, "-A", "--check", "train.ts"], env);
    assert.equal(trained.code, 0, trained.errors);
    const { first, last } = JSON.parse(trained.out) as Record<string, number>;
    assert.ok(last < first / 2, trained.out);
    const isKernel = (path: string): boolean => /\/tensor\/ops\/\w+\.c$/.test(path);
    const fetched = registry.asked.filter(isKernel).length;
    if (Deno.env.get("DENOTRON_CC") !== "none") assert.ok(fetched > 0, "no kernel was fetched");
    // Sources and what was made of them are in the cache now.
    const again = await runIn(cwd, [...command, "-A", "train.ts"], env);
    assert.deepEqual([again.code, again.out], [0, trained.out], again.errors);
    assert.equal(registry.asked.filter(isKernel).length, fetched);
    // What README asks for is enough.
    const permissions = ["ffi", "read", "write", "run", "env", "sys", `import=${registry.host}`];
    const allowed = permissions.map((permission) => `--allow-${permission}`);
    const reference = { ...env, DENOTRON_CC: "none" };
    const limited = await runIn(cwd, [...command, ...allowed, "train.ts"], reference);
    assert.equal(limited.code, 0, limited.errors);
  }));

Deno.test("the commands run from a registry: recipes, models, the server with its page and its thread", () =>
  withFolder(async (cwd) => {
    await using registry = openRegistry();
    const env = { JSR_URL: registry.url, DENOTRON_CACHE: cacheWithoutSources(join(cwd, "cache")) };
    const denotron = (...args: string[]) => [
      ...[Deno.execPath(), "run", "-A", "--no-lock"],
      ...[`jsr:${name}/cli`, ...args],
    ];
    const counted = await runIn(
      cwd,
      denotron("train", "--config", "recipes/llama-nemotron-super.yaml", "--dry-run"),
      env,
    );
    assert.equal(counted.code, 0, counted.errors);
    assert.match(counted.out, /child +49\.9B parameters, 80 blocks \(as published\)/);
    await writeTinyModel(join(cwd, "model"), { chatTemplate: template });
    const converted = await runIn(
      cwd,
      denotron("convert", "--model", "model", "--out", "model.gguf"),
      env,
    );
    assert.equal(converted.code, 0, converted.errors);
    await tryServer(cwd, denotron("serve", "--model", "model", "--port", "0"), env);
  }));

Deno.test("the version in the code is the package's", () => {
  assert.equal(version, readPackageFile().version);
});
