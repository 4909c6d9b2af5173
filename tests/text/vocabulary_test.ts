/** Tokenizers as plain lists: in memory, and in the files that are written from them. */
import assert from "node:assert/strict";
import { Tokenizer, trainBpe } from "../../text/mod.ts";
import { sharedPath, sharedTest, sharedText } from "./shared.ts";

const texts = [
  "Hello, world!  Two spaces, a tab\t, a line\nbreak and <s> written out.",
  " Once upon a time, there was a little girl named Lily. She didn't know 12345 things.",
  "Grüße 你好 👩‍👩‍👧 \u0000 é",
  "",
  "   ",
];

/** A tokenizer made of the lists, and one read from the files of that, encode and decode as the first does. */
async function assertKept(tokenizer: Tokenizer): Promise<void> {
  const { vocabulary } = tokenizer;
  assert.ok(vocabulary !== undefined);
  const listed = Tokenizer.fromVocabulary(vocabulary);
  const folder = await Deno.makeTempDir();
  try {
    await listed.save(folder);
    for (const other of [listed, await Tokenizer.load(folder)]) {
      for (const text of texts) {
        for (const options of [{}, { special: true }, { plain: true }]) {
          const ids = tokenizer.encode(text, options);
          assert.deepEqual(other.encode(text, options), ids, JSON.stringify(text));
          assert.equal(other.decode(ids), tokenizer.decode(ids));
        }
      }
      assert.deepEqual(other.special.eos, tokenizer.special.eos);
      assert.equal(other.special.bos, tokenizer.special.bos);
      assert.equal(other.chatTemplate, tokenizer.chatTemplate);
      assert.equal(other.vocabularySize, tokenizer.vocabularySize);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a trained tokenizer keeps ids, roles and template as lists and as files", async () => {
  const specialTokens = ["<s>", "</s>", "<|eot|>"];
  const options = { vocabularySize: 300, specialTokens, bos: "<s>", eos: "</s>" };
  await assertKept(trainBpe(texts, options).tokenizer());
  await assertKept(trainBpe(texts, { ...options, chatTemplate: "{{ messages }}" }).tokenizer());
});

Deno.test("several ends of text stay several", async () => {
  const trained = trainBpe(texts, { vocabularySize: 300, specialTokens: ["</s>", "<|eot|>"] });
  const { vocabulary } = trained.tokenizer();
  const eos = ["</s>", "<|eot|>"].map((token) => trained.vocabulary.get(token)!);
  await assertKept(Tokenizer.fromVocabulary({ ...vocabulary!, eos }));
});

Deno.test("a unigram vocabulary keeps its settings", async () => {
  const tokens = ["<unk>", "</s>", "▁", "▁a", "a", "b", "ab"];
  const scores = [0, 0, -3, -2, -2.5, -2.5, -1.5];
  const types = [2, 3, 1, 1, 1, 1, 1];
  for (const addSpacePrefix of [true, false]) {
    for (const removeExtraSpaces of [true, false]) {
      const settings = { addSpacePrefix, removeExtraSpaces, unk: 0, eos: [1], addEos: true };
      await assertKept(
        Tokenizer.fromVocabulary({ model: "t5", tokens, scores, types, ...settings }),
      );
    }
  }
});

for (
  const path of [
    "models/stories260K/tok512.model",
    "models/stories260K/tok512.bin",
    "tokenizers/tok4096/tok4096.bin",
  ]
) {
  sharedTest(`${path} keeps its ids as lists and as files`, [path], async () => {
    await assertKept(await Tokenizer.load(sharedPath(path)));
  });
}

sharedTest(
  "a model with a character map, which lists cannot say, has no lists",
  ["tokenizers/sentencepiece-test/test_model.model"],
  async () => {
    const model = await Tokenizer.load(
      sharedPath("tokenizers/sentencepiece-test/test_model.model"),
    );
    assert.equal(model.vocabulary, undefined);
  },
);

sharedTest(
  "a tokenizer.json whose words are cut by an unknown pattern has no lists",
  ["tokenizers/torchtune-small/tiny_bpe_tokenizer.json"],
  () => {
    const json = JSON.parse(sharedText("tokenizers/torchtune-small/tiny_bpe_tokenizer.json"));
    const split = {
      type: "Split",
      pattern: { Regex: "\\w+|." },
      behavior: "Isolated",
      invert: false,
    };
    const byteLevel = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
    const own = { type: "Sequence", pretokenizers: [split, byteLevel] };
    const cut = Tokenizer.fromJson({ ...json, pre_tokenizer: own });
    assert.equal(cut.vocabulary, undefined);
  },
);
