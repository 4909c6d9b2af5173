/** `deno task chat`, in this process, on a random model. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { main } from "../../cli/chat.ts";
import { Conversation } from "../../cli/conversation.ts";
import { openModel } from "../../cli/model.ts";
import { device } from "../../tensor/mod.ts";
import "../support.ts";
import {
  memoryTerminal,
  runMain,
  template,
  tinySpec,
  withFolder,
  writeTinyModel,
} from "./support.ts";

/** Runs a test with a random model that has a chat template; fails when memory is left over. */
function chatTest(
  name: string,
  body: (folder: string) => Promise<void>,
  chatTemplate: string = template,
): void {
  Deno.test(name, () =>
    withFolder(async (temporary) => {
      const folder = join(temporary, "model");
      await writeTinyModel(folder, { chatTemplate });
      const before = device().memory.inUse;
      await body(folder);
      assert.equal(device().memory.inUse, before, "memory is left over");
    }));
}

const few = ["--max-tokens", "4", "--temperature", "0"];

chatTest("lines that are piped in are answered in turn, on stdout", async (model) => {
  const input = "hello\n\nwhat a world";
  const { code, out, errors } = await runMain(main, ["--model", model, ...few], { input });
  assert.equal(code, 0);
  assert.ok(out.endsWith("\n") && !out.includes("> "), out);
  assert.equal(errors.match(/cut at --max-tokens, 4 tokens/g)?.length, 2);
});

chatTest("/save writes what was said, /reset forgets it, /exit leaves", async (model) => {
  const file = join(model, "..", "said.json"), later = join(model, "..", "later.json");
  const input = `hello\n/save ${file}\n/reset\n/save ${later}\n/exit\nnever\n`;
  const { code, out } = await runMain(main, ["--model", model, ...few, "--system", "Be."], {
    input,
  });
  assert.equal(code, 0);
  const said = JSON.parse(Deno.readTextFileSync(file));
  assert.deepEqual(said.messages.map(({ role }: { role: string }) => role), [
    "system",
    "user",
    "assistant",
  ]);
  assert.equal(said.messages[1].content, "hello");
  assert.equal(`${said.messages[2].content}\n`, out);
  assert.deepEqual(JSON.parse(Deno.readTextFileSync(later)).messages, [
    { role: "system", content: "Be." },
  ]);
});

chatTest("a file that was there before is not written over", async (model) => {
  const file = join(model, "config.json"), before = Deno.readTextFileSync(file);
  const { errors } = await runMain(main, ["--model", model], { input: `/save ${file}\n` });
  assert.match(errors, /exists already\. Choose another name\./);
  assert.equal(Deno.readTextFileSync(file), before);
});

chatTest("commands that make no sense are answered with what would", async (model) => {
  const input = "/thinkin\n/thinking maybe\n/save\n/help\n/thinking on\n/thinking\n";
  const { code, errors } = await runMain(main, ["--model", model], { input });
  assert.equal(code, 0);
  for (
    const part of [
      "there is no command /thinkin. Did you mean /thinking?",
      "thinking is left to the model. Type /thinking on, or /thinking off.",
      "/save needs a file. Type /save FILE.",
      "/reset            forget the conversation",
      "thinking is on\n",
      "thinking is on. Type",
    ]
  ) assert.ok(errors.includes(part), `${part} in ${errors}`);
});

chatTest("Ctrl-C stops an answer, not the conversation", async (model) => {
  const onText = (piece: string, interrupt: () => void): void => {
    if (!piece.includes("(")) interrupt();
  };
  const args = ["--model", model, "--max-tokens", "30", "--temperature", "0"];
  const { code, errors } = await runMain(main, args, { input: "hello\nhello\n", onText });
  assert.equal(code, 0);
  assert.equal(errors.match(/stopped, \d+ tokens/g)?.length, 2);
});

chatTest("thinking goes to stderr, and the answer to stdout", async (model) => {
  const { out, errors } = await runMain(main, ["--model", model, ...few], { input: "hello\n" });
  assert.equal(out, "\n");
  assert.match(errors, /^.+\(cut/s);
}, template.replace("<assistant>", "<assistant><think>"));

chatTest("what the model has read of a conversation is not read again", async (model) => {
  using open = await openModel(
    { model, tokenizer: undefined, dtype: undefined, threads: undefined },
    memoryTerminal(),
  );
  const read: number[] = [];
  const { decoder } = open, hidden = decoder.hidden.bind(decoder);
  decoder.hidden = (ids, options) => {
    read.push(ids.size);
    return hidden(ids, options);
  };
  using conversation = new Conversation(open, { maxTokens: 3, seed: 0 }, undefined);
  const show = (): void => {};
  const { signal } = new AbortController();
  const first = await conversation.answer("hello", signal, show);
  assert.deepEqual(read, [first.promptTokens, 1, 1]);
  read.length = 0;
  const second = await conversation.answer("what", signal, show);
  assert.ok(
    read[0] < second.promptTokens - first.promptTokens + 1,
    `${read} of ${second.promptTokens}`,
  );
  assert.equal(conversation.messages.length, 4);
});

chatTest("a conversation longer than the context can be begun anew", async (model) => {
  const input = `${"hello ".repeat(tinySpec.context)}\n/reset\nhello\n`;
  const { code, errors } = await runMain(main, ["--model", model, ...few], { input });
  assert.equal(code, 0);
  assert.match(errors, /too long, \d+ tokens \(the model reads 64\)\. \/reset begins a new one\./);
  assert.match(errors, /4 tokens/);
});

chatTest("a template that refuses a message is told, and nothing is remembered", async (model) => {
  const file = join(model, "..", "said.json");
  const { code, errors } = await runMain(main, ["--model", model], {
    input: `hello\n/save ${file}\n`,
  });
  assert.equal(code, 0);
  assert.match(errors, /refuses the conversation, no users/);
  assert.deepEqual(JSON.parse(Deno.readTextFileSync(file)).messages, []);
}, "{{ raise_exception('no users') }}");
