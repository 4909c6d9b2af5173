import assert from "node:assert/strict";
import {
  type ChatMessage,
  ChatTemplate,
  ChatTemplateError,
  EmptyMaskError,
  type TargetOptions,
  ThinkStrippedError,
  Tokenizer,
  trainBpe,
} from "../../text/mod.ts";
import { sharedJson, sharedPath, sharedTest, sharedText } from "./shared.ts";

const specialTokens = ["<s>", "<|im_start|>", "<|im_end|>", "<|eot_id|>"];
const tokenizer: Tokenizer = trainBpe(["the answer is four, what is two and two"], {
  vocabularySize: 300,
  specialTokens,
  bos: "<s>",
  eos: "<|im_end|>",
}).tokenizer();

const chatMl = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + " +
  "'<|im_end|>\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

const twoTurns: ChatMessage[] = [
  { role: "system", content: "detailed thinking off" },
  { role: "user", content: "two and two? 🦙" },
  { role: "assistant", content: "vier, é" },
  { role: "user", content: "sure?" },
  { role: "assistant", content: "yes" },
];

/** The text of each run of learned tokens. */
function targets(
  template: string,
  messages: readonly ChatMessage[],
  options: TargetOptions = {},
  encoder: Tokenizer = tokenizer,
): string[] {
  const { ids, mask, text } = new ChatTemplate(template).encodeTargets(encoder, messages, options);
  assert.equal(mask.length, ids.length);
  // SentencePiece puts a space after special tokens.
  assert.equal(encoder.decode(ids).replaceAll(" ", ""), text.replaceAll(" ", ""));
  const runs: number[][] = [];
  ids.forEach((id, i) => {
    if (mask[i] === 0) return;
    if (i === 0 || mask[i - 1] === 0) runs.push([]);
    runs[runs.length - 1].push(id);
  });
  return runs.map((run) => encoder.decode(run));
}

Deno.test("a template without generation blocks marks every assistant turn and its end", () => {
  assert.deepEqual(targets(chatMl, twoTurns), ["vier, é<|im_end|>", "yes<|im_end|>"]);
  assert.deepEqual(targets(chatMl, twoTurns, { targets: "last" }), ["yes<|im_end|>"]);
});

Deno.test("turns can be chosen by their indices, with generation blocks and without", () => {
  const blocks = "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}" +
    "{{ m.content }}<|im_end|>{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}";
  for (const template of [chatMl, blocks]) {
    const chosen = (indices: number[]) => targets(template, twoTurns, { targets: indices });
    assert.deepEqual(chosen([2]), ["vier, é<|im_end|>"]);
    assert.deepEqual(chosen([4]), ["yes<|im_end|>"]);
    assert.deepEqual(chosen([2, 4]), ["vier, é<|im_end|>", "yes<|im_end|>"]);
    assert.throws(() => chosen([1]), EmptyMaskError);
  }
});

Deno.test("generation blocks mark the same tokens as rendering beginnings does", () => {
  for (const [left, right] of [["", ""], ["-", ""], ["", "-"], ["-", "-"]]) {
    const blocks = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}\n" +
      `{% if m.role == 'assistant' %}\n  {%${left} generation ${right}%}\n` +
      "{{ m.content + '<|im_end|>' }}" +
      `{%${left} endgeneration ${right}%}\n{% else %}{{ m.content + '<|im_end|>' }}{% endif %}` +
      "{{ '\\n' }}{% endfor %}";
    assert.deepEqual(
      targets(blocks, twoTurns).map((text) => text.trimStart()),
      targets(chatMl, twoTurns),
      `{%${left} generation ${right}%}`,
    );
  }
});

Deno.test("an end-of-turn token right after a generation block is learned too", () => {
  const blocks = "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}" +
    "{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}<|im_end|>{% endfor %}";
  assert.deepEqual(targets(blocks, twoTurns), ["vier, é<|im_end|>", "yes<|im_end|>"]);
});

Deno.test("the prompt that a server encodes is the beginning of the training ids", () => {
  const template = new ChatTemplate(chatMl);
  const { ids, mask } = template.encodeTargets(tokenizer, twoTurns);
  const prompt = template.encode(tokenizer, twoTurns.slice(0, 2), { addGenerationPrompt: true });
  assert.deepEqual(ids.slice(0, prompt.length), prompt);
  assert.equal(mask.indexOf(1), prompt.length);
});

Deno.test("a second bos is dropped, from ids and mask alike", () => {
  const doubled = "<s>{{ bos_token }}" + chatMl;
  const options = { bosToken: "<s>" };
  const { ids, mask } = new ChatTemplate(doubled, options).encodeTargets(tokenizer, twoTurns);
  assert.deepEqual(ids.slice(0, 2), [0, 1]);
  assert.equal(mask.length, ids.length);
  assert.deepEqual(
    tokenizer.decode(ids.filter((_, i) => mask[i] === 1)),
    "vier, é<|im_end|>yes<|im_end|>",
  );
  const prompt = new ChatTemplate(doubled, options).encode(tokenizer, twoTurns);
  assert.deepEqual(prompt.slice(0, 2), [0, 1]);
});

Deno.test("a conversation or template with nothing to learn is an error", () => {
  assert.throws(() => targets(chatMl, twoTurns.slice(0, 2)), EmptyMaskError);
  assert.throws(() => targets(chatMl, []), EmptyMaskError);
  const silent = "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}" +
    "{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}";
  assert.throws(() => targets(silent, twoTurns), EmptyMaskError);
});

Deno.test("a template that renders a turn in two ways is an error for that turn only", () => {
  const changing = "{% for m in messages %}{{ m.role + ':' }}" +
    "{% if loop.last %}{{ m.content }}{% else %}{{ m.content | upper }}{% endif %}{{ '\\n' }}" +
    "{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}";
  assert.throws(() => targets(changing, twoTurns), ChatTemplateError);
  const reversed = "{% for m in messages | reverse %}{{ m.content }}{% endfor %}";
  assert.throws(() => targets(reversed, twoTurns, { targets: "last" }), ChatTemplateError);
  const unmarked = "{% for m in messages %}{{ m.content }}{% endfor %}" +
    "{% generation %}{% endgeneration %}";
  assert.throws(() => targets(unmarked, twoTurns), /1 rendered \(2 turns\)/);
});

const nemotron = "serving/nemotron-templates/llama-nemotron-super-v1_5.jinja";
const thinking: ChatMessage[] = [
  { role: "system", content: "detailed thinking on" },
  { role: "user", content: "q" },
  { role: "assistant", content: "<think>\nr\n</think>\n\na" },
];

sharedTest(
  "the Nemotron template strips targets, says so, and keeps them on request",
  [nemotron],
  () => {
    const template = sharedText(nemotron);
    assert.throws(() => targets(template, thinking), ThinkStrippedError);
    assert.throws(() => targets(template, thinking), /keepThinking: true/);
    const keep = { keepThinking: true };
    const expected = "<think>\nr\n</think>\n\na<|eot_id|>";
    assert.deepEqual(targets(template, thinking, keep), [expected]);
    const apart = { role: "assistant", content: "a", reasoning_content: "r" };
    assert.throws(() => targets(template, [...thinking.slice(0, 2), apart]), ThinkStrippedError);
    assert.deepEqual(targets(template, [...thinking.slice(0, 2), apart], keep), [expected]);
    // Only targets are kept: the history looks as it does when serving.
    const dialogue = [...thinking, { role: "user", content: "u" }, thinking[2]];
    const { text } = new ChatTemplate(template).encodeTargets(tokenizer, dialogue, {
      ...keep,
      targets: "last",
    });
    assert.equal(text.split("<think>").length, 2);
  },
);

Deno.test("a template that adds thinking tags of its own is refused under keepThinking", () => {
  const adding = chatMl.replace("m.content", "('<think></think>' + m.content)");
  assert.throws(() => targets(adding, thinking, { keepThinking: true }), ThinkStrippedError);
});

Deno.test("the default template keeps thinking and learns turns with their end", () => {
  const template = ChatTemplate.for(tokenizer);
  const { ids, mask, text } = template.encodeTargets(tokenizer, thinking);
  assert.ok(text.startsWith("<s><|system|>\ndetailed thinking on<|im_end|>\n<|user|>\n"));
  assert.equal(
    tokenizer.decode(ids.filter((_, i) => mask[i] === 1)),
    "<think>\nr\n</think>\n\na<|im_end|>",
  );
  const prompt = template.render(thinking.slice(0, 2), { addGenerationPrompt: true });
  assert.ok(text.startsWith(prompt));
  const call = { function: { name: "add", arguments: { a: 1 } } };
  const tools = template.render([{ role: "assistant", content: null, tool_calls: [call] }], {
    tools: [{ name: "add" }],
  });
  assert.ok(tools.includes('<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'));
  assert.ok(tools.includes('<|tools|>\n[{"name": "add"}]'));
});

sharedTest(
  "masks fall on whole turns with a SentencePiece vocabulary as well",
  ["models/stories260K/tok512.bin"],
  async () => {
    const pieces = await Tokenizer.load(sharedPath("models/stories260K/tok512.bin"));
    const template = "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}" +
      "{{ '[INST] ' + m.content + ' [/INST]' }}{% else %}{{ ' ' + m.content + '</s>' }}" +
      "{% endif %}{% endfor %}";
    const options = { bosToken: "<s>" };
    const runs = targets(template, twoTurns.slice(1), options, pieces);
    // Decoding a run alone drops the space that its first token begins with.
    assert.deepEqual(runs, ["vier, é</s>", "yes</s>"]);
  },
);

const toolUse = "serving/minja-contexts/tool_use.json";

sharedTest(
  "a dialogue with tool calls has every assistant turn marked",
  [toolUse, nemotron],
  () => {
    const { messages, tools } = sharedJson<{ messages: ChatMessage[]; tools: unknown[] }>(toolUse);
    const runs = targets(sharedText(nemotron), messages, { tools });
    assert.equal(runs.length, messages.filter((message) => message.role === "assistant").length);
    assert.ok(runs[0].startsWith("<TOOLCALL>["));
    assert.ok(runs[1].startsWith("Anything else?"));
  },
);

Deno.test("a template that does not parse or refuses a conversation is a typed error", () => {
  assert.throws(() => new ChatTemplate("{% for %}"), ChatTemplateError);
  const refusing = new ChatTemplate("{{ raise_exception('roles must alternate') }}");
  assert.throws(() => refusing.render([]), /roles must alternate/);
});
