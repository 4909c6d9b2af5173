/** The commands as users run them: `deno task`, from another folder. */
import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  hasShared,
  lastJson,
  type Outcome,
  runTask,
  SHARED,
  template,
  withFolder,
  writeTinyModel,
} from "./support.ts";

const stories = "models/stories260K/";

interface Reference {
  readonly prompt: string;
  readonly prompt_ids: number[];
  readonly prompt_greedy_ids: number[];
  readonly prompt_greedy_text: string;
}

Deno.test({
  name: "stories260K continues with the reference's ids from .bin, from its folder and from GGUF",
  ignore: !hasShared(stories),
  fn: () =>
    withFolder(async (cwd) => {
      const shared = (name: string): string => fileURLToPath(new URL(stories + name, SHARED));
      for (const name of ["stories260K.bin", "tok512.model"]) {
        copyFileSync(shared(name), join(cwd, name));
      }
      const reference = JSON.parse(
        Deno.readTextFileSync(shared("derived_reference.json")),
      ) as Reference;
      const { prompt, prompt_ids, prompt_greedy_ids: expected, prompt_greedy_text } = reference;
      const own = ["--tokenizer", "tok512.model"];
      const steps: [from: string, more: string[], to: string][] = [
        ["stories260K.bin", own, "folder"],
        ["folder", [], "model.gguf"],
        ["model.gguf", [], "again"],
      ];
      for (const [from, more, to] of steps) {
        const { code, errors } = await runTask("convert", ["--model", from, "--out", to, ...more], {
          cwd,
        });
        assert.equal(code, 0, errors);
      }
      const count = `${expected.length - prompt_ids.length}`;
      for (const model of ["stories260K.bin", "folder", "model.gguf", "again"]) {
        const args = ["--model", model, ...model.endsWith(".bin") ? own : [], "--prompt", prompt];
        const outcome = await runTask("generate", [...args, "--max-tokens", count, "--json"], {
          cwd,
        });
        const { promptIds, ids, text } = lastJson(outcome) as Record<string, number[]>;
        assert.deepEqual(promptIds, prompt_ids, model);
        assert.deepEqual([...promptIds, ...ids], expected, model);
        assert.equal(prompt + text, prompt_greedy_text, model);
        assert.ok(outcome.out.startsWith(`${text}\n{`), model);
      }
    }),
});

Deno.test("every command shows its help, from any folder", () =>
  withFolder(async (cwd) => {
    for (
      const name of [
        "train",
        "runs",
        "eval",
        "inspect",
        "generate",
        "chat",
        "summary",
        "convert",
        "doctor",
      ]
    ) {
      const { code, out, errors } = await runTask(name, ["--help"], { cwd });
      assert.deepEqual([code, errors], [0, ""]);
      assert.ok(out.includes(`usage: deno task ${name} [options]`), out);
      assert.deepEqual(out.split("\n").filter((line) => line.length > 80), []);
    }
  }));

Deno.test("a mistake is one line on stderr and exit code 2", () =>
  withFolder(async (cwd) => {
    const given = ["--model", "nowhere", "--promt", "x"];
    const outcome: Outcome = await runTask("generate", given, { cwd });
    assert.deepEqual(outcome, {
      code: 2,
      out: "",
      errors:
        "generate: there is no option --promt. Did you mean --prompt? See --help for all options.\n",
    });
  }));

Deno.test("a piped conversation and the summary of a model in the folder work", () =>
  withFolder(async (cwd) => {
    await writeTinyModel(join(cwd, "model"), { chatTemplate: template });
    const args = ["--", "--model", "model", "--max-tokens", "3", "--temperature", "0"];
    const chat = await runTask("chat", args, { cwd, input: "hello\n/save said.json\n" });
    assert.equal(chat.code, 0, chat.errors);
    const { messages } = JSON.parse(Deno.readTextFileSync(join(cwd, "said.json")));
    assert.equal(`${messages[1].content}\n`, chat.out);
    const summary = await runTask("summary", ["--model", "model", "--json"], { cwd });
    assert.deepEqual([summary.code, summary.errors], [0, ""]);
    assert.equal(lastJson(summary).model, "model");
  }));

Deno.test("a name of the hub is downloaded, with progress", () =>
  withFolder(async (cwd) => {
    const folder = join(cwd, "model");
    await writeTinyModel(folder);
    const siblings = [...Deno.readDirSync(folder)].map(({ name }) => ({ rfilename: name }));
    const listing = { sha: "0".repeat(40), siblings };
    await using server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      ({ url }) => {
        const { pathname } = new URL(url);
        if (pathname.startsWith("/api/models/org/tiny/")) return Response.json(listing);
        const [, name] = /^\/org\/tiny\/resolve\/0+\/(.+)$/.exec(pathname) ?? [];
        if (name === undefined) return new Response(null, { status: 404 });
        return new Response(Deno.readFileSync(join(folder, name)));
      },
    );
    const { port } = server.addr;
    const env = { HF_ENDPOINT: `http://127.0.0.1:${port}`, DENOTRON_CACHE: join(cwd, "cache") };
    const found = await runTask("summary", ["--model", "org/tiny"], { cwd, env });
    assert.equal(found.code, 0, found.errors);
    assert.match(
      found.errors,
      /asking the hub for it\ndownloading org\/tiny {2}100 %.*config\.json\n/,
    );
    const absent = await runTask("summary", ["--model", "org/other"], { cwd, env });
    assert.equal(absent.code, 2);
    assert.match(absent.errors, /org\/other/);
  }));
