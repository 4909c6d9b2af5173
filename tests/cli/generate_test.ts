/** `deno task generate`, in this process, on a random model. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { main } from "../../cli/generate.ts";
import { printable } from "../../cli/terminal.ts";
import { device } from "../../tensor/mod.ts";
import { Tokenizer } from "../../text/mod.ts";
import "../support.ts";
import {
  lastJson,
  memoryTerminal,
  runMain,
  template,
  tinySpec,
  withFolder,
  writeTinyModel,
} from "./support.ts";

/** Runs a test with a random model; fails when memory is left over. */
function modelTest(
  name: string,
  body: (folder: string) => Promise<void>,
  chatTemplate?: string,
): void {
  Deno.test(name, () =>
    withFolder(async (temporary) => {
      const folder = join(temporary, "model");
      await writeTinyModel(folder, chatTemplate === undefined ? {} : { chatTemplate });
      const before = device().memory.inUse;
      await body(folder);
      assert.equal(device().memory.inUse, before, "memory is left over");
    }));
}

const hello = ["--prompt", "hello", "--max-tokens", "8", "--json"];

modelTest(
  "text goes to stdout, timings to stderr, and --json ends with all of it",
  async (model) => {
    const outcome = await runMain(main, ["--model", model, ...hello]);
    assert.equal(outcome.code, 0);
    const { text, ids, promptIds, tokens, seconds, tokensPerSecond, ...rest } = lastJson(outcome);
    const tokenizer = await Tokenizer.load(model);
    assert.deepEqual(promptIds, tokenizer.encode("hello", { special: true }));
    assert.equal((ids as number[]).length, 8);
    assert.equal(tokens, 8);
    assert.equal(tokensPerSecond, 8 / (seconds as number));
    assert.equal(rest.prompt, "hello");
    assert.equal(rest.model, model);
    assert.equal(rest.stopReason, "length");
    assert.equal(rest.dtype, "f32");
    const decoded = tokenizer.decode([...promptIds as number[], ...ids as number[]], {
      special: false,
    });
    assert.equal(`hello${text}`, decoded);
    assert.ok(outcome.out.startsWith(`${text}\n{`), outcome.out);
    assert.match(outcome.errors, /^\d+ prompt tokens, 8 new in .*; --max-tokens reached\n$/);
  },
);

modelTest("seeds decide what is drawn, and --n texts differ", async (model) => {
  const draw = async (seed: number) => {
    const args = [
      "--model",
      model,
      ...hello,
      "--temperature",
      "1",
      "--n",
      "2",
      "--seed",
      `${seed}`,
    ];
    return lastJson(await runMain(main, args)).samples as { ids: number[] }[];
  };
  const [a, b] = await draw(1);
  assert.notDeepEqual(a.ids, b.ids);
  assert.deepEqual(await draw(1), [a, b]);
  assert.notDeepEqual(await draw(2), [a, b]);
});

modelTest("a stop text ends the text before it, and never shows", async (model) => {
  const whole = lastJson(await runMain(main, ["--model", model, ...hello])).text as string;
  const stop = whole.slice(3, 5);
  const outcome = await runMain(main, ["--model", model, ...hello, "--stop", stop]);
  const { text, stopReason } = lastJson(outcome);
  assert.equal(text, whole.slice(0, whole.indexOf(stop)));
  assert.equal(stopReason, "stop");
  assert.ok(outcome.out.startsWith(`${text}\n{`));
});

modelTest("Ctrl-C ends the text, not the line of JSON, with exit code 130", async (model) => {
  const args = ["--model", model, "--prompt", "hello", "--max-tokens", "50", "--json"];
  let pieces = 0;
  const onText = (_: string, interrupt: () => void): void => {
    if (++pieces === 3) interrupt();
  };
  const outcome = await runMain(main, args, { onText });
  const { ids, stopReason } = lastJson(outcome);
  assert.equal(outcome.code, 130);
  assert.deepEqual([stopReason, (ids as number[]).length], ["interrupted", 3]);
  assert.match(outcome.errors, /interrupted/);
});

modelTest("a chat template is used unless --raw is given", async (model) => {
  const tokenizer = await Tokenizer.load(model);
  const promptOf = async (...more: string[]) => {
    const { promptIds } = lastJson(await runMain(main, ["--model", model, ...hello, ...more]));
    return tokenizer.decode(promptIds as number[]);
  };
  assert.equal(await promptOf(), "<user>hello<assistant>");
  assert.equal(await promptOf("--system", "Be."), "<system>Be.<user>hello<assistant>");
  assert.equal(
    await promptOf("--thinking", "off"),
    "<system>detailed thinking off<user>hello<assistant>",
  );
  assert.equal(await promptOf("--raw"), "<s>hello");
}, template);

modelTest("the prompt may come from stdin, or be nothing at all", async (model) => {
  const args = ["--model", model, "--max-tokens", "2", "--json"];
  const piped = await runMain(main, [...args, "--prompt", "-"], { input: "what a world\n" });
  assert.equal(lastJson(piped).prompt, "what a world");
  const { bos } = (await Tokenizer.load(model)).special;
  assert.deepEqual(lastJson(await runMain(main, args)).promptIds, [bos]);
});

modelTest("a screen shows the prompt before its continuation", async (model) => {
  const { errors } = await runMain(main, ["--model", model, ...hello], { screen: true });
  assert.match(errors, /hello/);
});

modelTest("bf16 and threads are as asked for", async (model) => {
  const before = device().threads;
  try {
    const args = ["--model", model, ...hello, "--dtype", "bf16", "--threads", "1"];
    assert.equal(lastJson(await runMain(main, args)).dtype, "bf16");
    assert.equal(device().threads, 1);
  } finally {
    device().threads = before;
  }
});

modelTest("what cannot be is one line that says what to do, and exit code 2", async (model) => {
  const cases: [string[], RegExp][] = [
    [
      ["--model", `${model}x`],
      /^model: there is no file or folder ".*modelx"\. Check the path, .*\.\n$/,
    ],
    [
      ["--model", join(model, "..")],
      /^model: the folder .* has no config\.json\. Give the folder of a model\.\n$/,
    ],
    [["--model", model, "--n", "3"], /would all be the same\. Add --temperature 0\.8\.\n$/],
    [["--model", model, "--thinking", "on"], /need a chat template, .*\.\n$/],
    [
      ["--model", model, "--tokenizer", `${model}x`],
      /^tokenizer: there is no file or folder .*Check --tokenizer\.\n$/,
    ],
    [
      ["--model", model, "--prompt", "hello ".repeat(tinySpec.context + 1)],
      /^generate: the prompt is too long, \d+ tokens \(the model reads 64\)\. Shorten it\.\n$/,
    ],
  ];
  for (const [args, message] of cases) {
    const { code, out, errors } = await runMain(main, args);
    assert.deepEqual([code, out], [2, ""]);
    assert.match(errors, message);
  }
});

modelTest("a model without a tokenizer says where one lies", async (model) => {
  await Deno.rename(join(model, "tokenizer.json"), join(model, "tok9.model"));
  const { code, errors } = await runMain(main, ["--model", model]);
  assert.equal(code, 2);
  assert.match(errors, /^tokenizer: model carries none\. Add --tokenizer .*tok9\.model\.\n$/);
});

Deno.test("a screen never gets control characters of a model, a file gets all", () => {
  const text = "a\x1b[2Jb\n\tc\x9b";
  assert.equal(printable(text, memoryTerminal({ screen: true })), "a\ufffd[2Jb\n\tc\ufffd");
  assert.equal(printable(text, memoryTerminal()), text);
});

Deno.test("a reader that has had enough is no error", async () => {
  const onText = (): void => {
    throw new Deno.errors.BrokenPipe("Broken pipe");
  };
  const { code, errors } = await runMain(main, ["--help"], { onText });
  assert.deepEqual([code, errors], [0, ""]);
});
