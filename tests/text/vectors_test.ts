import assert from "node:assert/strict";
import { Tokenizer } from "../../text/mod.ts";
import { ggufVocabulary } from "./gguf_vocabulary.ts";
import { sharedJson, sharedPath, sharedTest, sharedText } from "./shared.ts";

const llamaTests = "tokenizers/llama.cpp-vocab-tests/ggml-vocab-";
const swift = "tokenizers/swift-transformers-vectors/";
const stories = "models/stories260K/";

function ggufTokenizer(name: string): Tokenizer {
  return Tokenizer.fromVocabulary(ggufVocabulary(sharedPath(`${llamaTests}${name}.gguf`)));
}

function gpt2(): Tokenizer {
  const vocabulary = sharedJson<Record<string, number>>("tokenizers/gpt2/encoder.json");
  const lines = sharedText("tokenizers/gpt2/vocab.bpe").split("\n");
  return Tokenizer.fromVocabulary({
    model: "gpt2",
    tokens: Object.entries(vocabulary).sort((a, b) => a[1] - b[1]).map(([token]) => token),
    types: Array.from({ length: 50257 }, (_, id) => id === 50256 ? 3 : 1),
    merges: lines.slice(1).filter((line) => line !== ""),
    eos: [50256],
  });
}

for (const name of ["gpt-2", "llama-spm"]) {
  const files = ["gguf", "gguf.inp", "gguf.out"].map((end) => `${llamaTests}${name}.${end}`);
  sharedTest(`every llama.cpp text of ${name} has the expected ids`, files, () => {
    const tokenizer = ggufTokenizer(name);
    // A separator follows the last text too.
    const texts = sharedText(files[1]).split("\n__ggml_vocab_test__\n").slice(0, -1);
    const lines = sharedText(files[2]).split("\n");
    assert.equal(texts.length, 46);
    texts.forEach((text, i) => {
      const expected = lines[i].trim() === "" ? [] : lines[i].trim().split(/\s+/).map(Number);
      assert.deepEqual(tokenizer.encode(text), expected, JSON.stringify(text));
      assert.equal(tokenizer.decode(expected), text);
    });
  });
}

interface Encoded {
  readonly input: string;
  readonly encoded: { readonly input_ids: number[] };
  readonly decoded_with_special: string;
  readonly decoded_without_special: string;
}

const swiftFiles = [`${swift}tokenizer_tests.json`, `${llamaTests}llama-spm.gguf`];

sharedTest("every transformers vector of Llama 2 encodes and decodes", swiftFiles, () => {
  const tokenizer = ggufTokenizer("llama-spm");
  const cases = sharedJson<Record<string, Encoded[]>>(swiftFiles[0]);
  const rows = cases["coreml-projects/Llama-2-7b-chat-coreml"];
  assert.equal(rows.length, 18);
  for (const row of rows) {
    const ids = row.encoded.input_ids;
    assert.deepEqual(tokenizer.encode(row.input, { special: true }), ids, row.input);
    assert.equal(tokenizer.decode(ids), row.decoded_with_special);
    assert.equal(tokenizer.decode(ids, { special: false }), row.decoded_without_special);
  }
});

sharedTest(
  "every transformers vector of GPT-2 and English Whisper encodes and decodes",
  [...swiftFiles, "tokenizers/gpt2"],
  () => {
    const tokenizer = gpt2();
    const cases = sharedJson<Record<string, Encoded[]>>(swiftFiles[0]);
    // Whisper's English vocabulary is GPT-2's; its three control tokens stand around the text.
    const whisper = cases["openai/whisper-tiny.en"].map((row) =>
      row.encoded.input_ids.slice(2, -1)
    );
    cases.distilgpt2.forEach((row, i) => {
      const ids = tokenizer.encode(row.input);
      assert.deepEqual(ids, row.encoded.input_ids, row.input);
      assert.deepEqual(ids, whisper[i], row.input);
      assert.equal(tokenizer.decode(ids), row.input);
    });
    assert.equal(cases.distilgpt2.length, 18);
  },
);

sharedTest(
  "the French article of transformers has the GPT-2 and Llama 2 ids",
  ["gpt2", "llama"].map((name) =>
    `${swift}${name}_encoded${name === "gpt2" ? "_tokens" : ""}.json`
  ),
  () => {
    type Article = { text: string; token_ids: number[]; bpe_tokens: string[] };
    const [first, second] = [`${swift}gpt2_encoded_tokens.json`, `${swift}llama_encoded.json`];
    for (
      const [tokenizer, path] of [[gpt2(), first], [ggufTokenizer("llama-spm"), second]] as const
    ) {
      const article = sharedJson<Article>(path);
      const ids = tokenizer.encode(article.text, { special: true });
      assert.deepEqual(ids, article.token_ids);
      assert.deepEqual(
        ids.slice(-50).map((id) => tokenizer.tokenOf(id)),
        article.bpe_tokens.slice(-50),
      );
    }
  },
);

interface StoriesReference {
  readonly prompt: string;
  readonly prompt_ids: number[];
  readonly greedy_from_bos_ids: number[];
  readonly greedy_from_bos_text: string;
  readonly tokenize_tests: { readonly text: string; readonly ids: number[] }[];
}

sharedTest("every llama2.c case of stories260K has the expected ids", [stories], async () => {
  const tokenizer = await Tokenizer.load(sharedPath(`${stories}tok512.bin`));
  const reference = sharedJson<StoriesReference>(`${stories}derived_reference.json`);
  assert.equal(tokenizer.vocabularySize, 512);
  assert.equal(reference.tokenize_tests.length, 9);
  for (const { text, ids } of reference.tokenize_tests) {
    assert.deepEqual(tokenizer.encode(text, { special: true }), ids, text);
    assert.equal(tokenizer.decode(ids, { special: false }), text);
  }
  assert.deepEqual(tokenizer.encode(reference.prompt, { special: true }), reference.prompt_ids);
  const generated = tokenizer.decode(reference.greedy_from_bos_ids, { special: false });
  assert.equal(generated, reference.greedy_from_bos_text);
});

sharedTest(
  "the 4096-piece llama2.c vocabulary loads and gives its training text back",
  ["tokenizers/tok4096/tok4096.bin", "tokenizers/bpe-train-ref/tinystories_sample.txt"],
  async () => {
    const tokenizer = await Tokenizer.load(sharedPath("tokenizers/tok4096/tok4096.bin"));
    const text = sharedText("tokenizers/bpe-train-ref/tinystories_sample.txt");
    const ids = tokenizer.encode(text);
    assert.equal(tokenizer.vocabularySize, 4096);
    assert.equal(tokenizer.decode(ids), text);
    assert.ok(text.length / ids.length > 3);
  },
);

interface Golden {
  readonly texts: string[];
  readonly files: Record<string, { ids: number[][]; corpus: string; texts?: string[] }>;
}

const golden = JSON.parse(
  Deno.readTextFileSync(new URL("../golden/tokenizer_ids.json", import.meta.url)),
) as Golden;
const corpus = "tokenizers/sentencepiece-test/botchan.txt";

for (const [path, expected] of Object.entries(golden.files)) {
  sharedTest(`${path} gives the ids of its own library`, [path, corpus], async () => {
    const tokenizer = path.endsWith("gpt2") ? gpt2() : await Tokenizer.load(sharedPath(path));
    const special = path.endsWith(".json");
    const encode = (text: string): number[] => tokenizer.encode(text, { special, plain: !special });
    golden.texts.forEach((text, i) => {
      const ids = encode(text);
      assert.deepEqual(ids, expected.ids[i], JSON.stringify(text));
      if (expected.texts) assert.equal(tokenizer.decode(ids), expected.texts[i]);
    });
    // The whole book, line by line, by its digest.
    const lines = JSON.stringify(sharedText(corpus).split("\n").map(encode));
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(lines));
    assert.equal(new Uint8Array(digest).toHex(), expected.corpus);
  });
}
