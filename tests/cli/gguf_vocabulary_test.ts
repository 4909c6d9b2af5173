/** Tokenizers in the metadata of GGUF files. */
import assert from "node:assert/strict";
import { ggufOfVocabulary, vocabularyOfGguf } from "../../cli/gguf_vocabulary.ts";
import { type GgufValue, parseGguf } from "../../nn/mod.ts";
import { Tokenizer, trainBpe } from "../../text/mod.ts";
import { hasShared, SHARED } from "./support.ts";

const files = "tokenizers/llama.cpp-vocab-tests/";

for (const name of ["llama-spm", "gpt-2"]) {
  Deno.test({
    name: `the ${name} vocabulary of llama.cpp gives the ids that llama.cpp gives`,
    ignore: !hasShared(files),
    fn() {
      const at = (end: string): URL => new URL(`${files}ggml-vocab-${name}.gguf${end}`, SHARED);
      const bytes = Deno.readFileSync(at(""));
      const vocabulary = vocabularyOfGguf(parseGguf(bytes).metadata)!;
      const tokenizer = Tokenizer.fromVocabulary(vocabulary);
      const texts = Deno.readTextFileSync(at(".inp")).split("\n__ggml_vocab_test__\n");
      const expected = Deno.readTextFileSync(at(".out")).trimEnd().split("\n")
        .map((line) => line.trim().split(/\s+/).filter(Boolean).map(Number));
      expected.forEach((ids, i) => assert.deepEqual(tokenizer.encode(texts[i]), ids, texts[i]));
    },
  });
}

Deno.test("a vocabulary goes into the metadata and comes back, filled up to the model's size", () => {
  const options = { vocabularySize: 290, specialTokens: ["<s>", "</s>"], bos: "<s>", eos: "</s>" };
  const tokenizer = trainBpe(["hello world"], { ...options, chatTemplate: "{{ x }}" }).tokenizer();
  const back = vocabularyOfGguf(ggufOfVocabulary(tokenizer.vocabulary!, 300))!;
  assert.equal(back.tokens.length, 300);
  assert.equal(back.tokens[299], "[PAD299]");
  const again = Tokenizer.fromVocabulary(back);
  for (const text of ["hello world", "<s>hello</s>", "[PAD299]"]) {
    assert.deepEqual(
      again.encode(text, { special: true }),
      tokenizer.encode(text, { special: true }),
    );
  }
  assert.deepEqual(again.special, tokenizer.special);
  assert.equal(again.chatTemplate, "{{ x }}");
});

Deno.test("a file without a vocabulary has none, one of another kind is refused", () => {
  const metadata = (model: string) =>
    new Map<string, GgufValue>([
      ["tokenizer.ggml.model", { type: "string", value: model }],
      ["tokenizer.ggml.tokens", { type: "array", of: "string", value: ["a"] }],
    ]);
  assert.equal(vocabularyOfGguf(new Map()), null);
  assert.equal(vocabularyOfGguf(metadata("none")), null);
  assert.throws(() => vocabularyOfGguf(metadata("rwkv")), /kind "rwkv"/);
});
