import assert from "node:assert/strict";
import { Tokenizer as Library } from "@huggingface/tokenizers";
import fc from "fast-check";
import { join } from "node:path";
import { Tokenizer, TokenizerError, TokenizerFormatError, trainBpe } from "../../text/mod.ts";
import { sharedPath, sharedTest } from "./shared.ts";

const trained = trainBpe(["hello world hello"], {
  vocabularySize: 280,
  specialTokens: ["<s>", "<|eot|>"],
  bos: "<s>",
  eos: "<|eot|>",
});

async function inTemporaryFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("bos is added once, also when the text already begins with it", () => {
  const tokenizer = trained.tokenizer();
  const bare = tokenizer.encode("hello");
  assert.deepEqual(tokenizer.encode("hello", { special: true }), [0, ...bare]);
  assert.deepEqual(tokenizer.encode("<s>hello", { special: true }), [0, ...bare]);
  assert.deepEqual(tokenizer.encode("", { special: true }), [0]);
});

Deno.test("cached words have the ids that the library gives the whole text", () => {
  const pieces = fc.constantFrom(
    "hello",
    " world",
    "<s>",
    "<|eot|>",
    "  ",
    "\n",
    "'s",
    "é",
    "e\u0301",
    "7",
  );
  const library = new Library(trained.json, trained.config);
  const nfc = { ...trained.json, normalizer: { type: "NFC" } };
  const normalizing = new Library(nfc, {});
  const [tokenizer, composed] = [trained.tokenizer(), Tokenizer.fromJson(nfc)];
  fc.assert(fc.property(fc.array(pieces), (pieces) => {
    const text = pieces.join("");
    const options = { add_special_tokens: false };
    assert.deepEqual(tokenizer.encode(text), library.encode(text, options).ids);
    assert.deepEqual(composed.encode(text), normalizing.encode(text, options).ids);
  }));
});

Deno.test("plain text never forms a special token", () => {
  const tokenizer = trained.tokenizer();
  const text = "hello<|eot|><s>";
  const ids = tokenizer.encode(text, { plain: true });
  assert.ok(!ids.some((id) => tokenizer.isSpecial(id)));
  assert.equal(tokenizer.decode(ids), text);
  assert.deepEqual(tokenizer.encode(text).slice(-2), [1, 0]);
});

Deno.test("generation_config.json adds ends of turn, chat_template.jinja a template", async () => {
  await inTemporaryFolder(async (folder) => {
    await trained.save(folder);
    await Deno.writeTextFile(join(folder, "generation_config.json"), '{"eos_token_id": [1, 7]}');
    await Deno.writeTextFile(join(folder, "chat_template.jinja"), "template");
    const tokenizer = await Tokenizer.load(folder);
    assert.deepEqual(tokenizer.special.eos, [1, 7]);
    assert.equal(tokenizer.chatTemplate, "template");
    const copy = join(folder, "copy");
    await tokenizer.save(copy);
    const again = await Tokenizer.load(copy);
    assert.deepEqual(again.special, tokenizer.special);
    assert.deepEqual(again.encode("hello"), tokenizer.encode("hello"));
  });
});

Deno.test("a template list gives its default", () => {
  const chat_template = [{ name: "tools", template: "t" }, { name: "default", template: "d" }];
  assert.equal(Tokenizer.fromJson(trained.json, { chat_template }).chatTemplate, "d");
});

Deno.test("add_bos_token and add_eos_token decide what is put around a text", () => {
  const roles = { bos_token: "<s>", eos_token: { content: "<|eot|>" } };
  const ends = (config: Record<string, unknown>): number[] =>
    Tokenizer.fromJson(trained.json, { ...roles, ...config }).encode("", { special: true });
  assert.deepEqual(ends({}), [0]);
  assert.deepEqual(ends({ add_bos_token: false }), []);
  assert.deepEqual(ends({ add_bos_token: true, add_eos_token: true }), [0, 1]);
});

Deno.test("a folder without a tokenizer, and a file that is none, are typed errors", async () => {
  await inTemporaryFolder(async (folder) => {
    await assert.rejects(Tokenizer.load(folder), TokenizerFormatError);
    await Deno.writeTextFile(join(folder, "tokenizer.json"), "{");
    await assert.rejects(Tokenizer.load(folder), TokenizerFormatError);
    for (const json of ["[]", "{}", '{"model":{}}', '{"model":{"type":"BPE"},"decoder":null}']) {
      await Deno.writeTextFile(join(folder, "tokenizer.json"), json);
      await assert.rejects(Tokenizer.load(folder), TokenizerFormatError, json);
    }
  });
});

Deno.test("a vocabulary that lacks bytes says so instead of dropping text", () => {
  const json = {
    decoder: { type: "ByteLevel" },
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false },
    model: { type: "BPE", vocab: { a: 0, b: 1 }, merges: [] },
  };
  const tokenizer = Tokenizer.fromJson(json);
  assert.deepEqual(tokenizer.encode("ab"), [0, 1]);
  assert.throws(() => tokenizer.encode("abc"), TokenizerError);
});

Deno.test("a vocabulary in memory is checked", () => {
  const make = (source: object): Tokenizer => Tokenizer.fromVocabulary(source as never);
  assert.throws(() => make({ model: "gpt2", tokens: ["a"] }), /gpt2 needs merges/);
  assert.throws(() => make({ model: "llama", tokens: ["a"], scores: [] }), /1 tokens, 0 scores/);
  assert.throws(() => make({ model: "gpt2", tokens: ["a"], merges: [], eos: [5] }), /outside/);
  assert.throws(
    () => make({ model: "gpt2", tokens: ["a"], merges: [], pattern: "other" }),
    /Known are default, gpt-2/,
  );
});

Deno.test("a unigram vocabulary in memory takes the best sum of scores", () => {
  const tokenizer = Tokenizer.fromVocabulary({
    model: "t5",
    tokens: ["<unk>", "\u2581", "a", "b", "ab", "\u2581a"],
    scores: [0, -2, -3, -3, -4, -4],
    types: [2, 1, 1, 1, 1, 1],
  });
  assert.deepEqual(tokenizer.encode("ab").map((id) => tokenizer.tokenOf(id)), ["\u2581", "ab"]);
  assert.deepEqual(tokenizer.encode("aéé"), [5, 0]);
});

const tiktoken = "tokenizers/torchtune-small/tiktoken_small.model";

sharedTest(
  "tiktoken ranks take Llama 3's special tokens after the last rank",
  [tiktoken],
  async () => {
    const tokenizer = await Tokenizer.load(sharedPath(tiktoken));
    assert.equal(tokenizer.vocabularySize, 2256);
    assert.equal(tokenizer.tokenOf(2000), "<|begin_of_text|>");
    assert.equal(tokenizer.tokenOf(2255), "<|reserved_special_token_247|>");
    const names = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"];
    assert.deepEqual(names.map((name) => tokenizer.idOf(name)), [2006, 2007, 2009]);
    assert.deepEqual(tokenizer.encode("<|eot_id|>", { special: true }), [2000, 2009]);
    const custom = await Tokenizer.load(sharedPath(tiktoken), {
      tiktoken: { specialTokens: ["<x>"], bos: "<x>", eos: [] },
    });
    assert.deepEqual(custom.special, { bos: 2000, eos: [] });
  },
);
