import assert from "node:assert/strict";
import fc from "fast-check";
import { gpt2Pattern, llama3Pattern, Tokenizer, TokenizerError, trainBpe } from "../../text/mod.ts";
import { sharedJson, sharedTest, sharedText } from "./shared.ts";

const reference = "tokenizers/bpe-train-ref/";

sharedTest("training reproduces the reference merges and vocabulary exactly", [reference], () => {
  const trained = trainBpe([sharedText(`${reference}corpus.en`)], {
    vocabularySize: 500,
    specialTokens: ["<|endoftext|>"],
  });
  const merges = sharedText(`${reference}train-bpe-reference-merges.txt`).trimEnd().split("\n");
  assert.deepEqual(trained.merges, merges);
  assert.equal(merges.length, 243);
  const vocabulary = sharedJson<Record<string, number>>(
    `${reference}train-bpe-reference-vocab.json`,
  );
  assert.deepEqual(Object.fromEntries(trained.vocabulary), vocabulary);
});

sharedTest("a trained tokenizer gives every sample text back", [reference], () => {
  const trained = trainBpe([sharedText(`${reference}corpus.en`)], {
    vocabularySize: 1000,
    specialTokens: ["<|endoftext|>"],
  });
  const tokenizer = trained.tokenizer();
  for (const name of ["address.txt", "german.txt", "tinystories_sample.txt"]) {
    const text = sharedText(reference + name);
    const ids = tokenizer.encode(text);
    assert.equal(tokenizer.decode(ids), text);
    assert.ok(ids.length < text.length / 1.5, `${name}: ${ids.length} ids`);
  }
});

/** Training by definition: count every pair anew for every merge. */
function countedAnew(text: string, merges: number): string[] {
  const words = (text.match(new RegExp(gpt2Pattern, "gu")) ?? []).map((word) => [...word]);
  const learned: string[] = [];
  while (learned.length < merges) {
    const counts = new Map<string, number>();
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++) {
        const pair = `${word[i]} ${word[i + 1]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    }
    const best = [...counts].filter(([, count]) =>
      count >= 2
    ).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? 1 : -1))[0];
    if (best === undefined) {
      break;
    }
    learned.push(best[0]);
    const [left, right] = best[0].split(" ");
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++) {
        if (word[i] === left && word[i + 1] === right) {
          word.splice(i, 2, left + right);
        }
      }
    }
  }
  return learned;
}

Deno.test("incremental counts learn what counting anew learns", () => {
  const letters = fc.array(fc.constantFrom("a", "b", "c", "aa", "ab"), { maxLength: 60 });
  fc.assert(fc.property(letters, (parts) => {
    const text = parts.join("");
    const trained = trainBpe([text], { vocabularySize: 256 + 12 });
    assert.deepEqual(trained.merges, countedAnew(text, 12));
  }));
});

Deno.test("equally frequent pairs are merged in the order of their bytes, the greatest first", () => {
  const options = { vocabularySize: 258 };
  assert.deepEqual(trainBpe(["ab", "ab", "zz", "zz"], options).merges, ["z z", "a b"]);
  assert.deepEqual(trainBpe(["zz", "zz", "ab", "ab"], options).merges, ["z z", "a b"]);
});

Deno.test("pairs below the least frequency stay apart", () => {
  const merges = (minFrequency: number): number =>
    trainBpe(["abab ab", "cd"], { vocabularySize: 300, minFrequency }).merges.length;
  assert.ok(merges(1) > merges(2));
  assert.equal(merges(100), 0);
});

Deno.test("special tokens cut the corpus and come first in the vocabulary", () => {
  const trained = trainBpe(["x<|end|>x<|end|>x<|end|>"], {
    vocabularySize: 300,
    specialTokens: ["<|end|>"],
    eos: "<|end|>",
  });
  assert.deepEqual(trained.merges, []);
  assert.equal(trained.vocabulary.get("<|end|>"), 0);
  const tokenizer = trained.tokenizer();
  assert.deepEqual(tokenizer.encode("<|end|>"), [0]);
  assert.deepEqual(tokenizer.special.eos, [0]);
});

Deno.test("a word longer than the stack allows as arguments trains", () => {
  const trained = trainBpe(["ab".repeat(200_000)], { vocabularySize: 260 });
  assert.equal(trained.merges[0], "a b");
});

Deno.test("the written files load again with the same ids, specials and template", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const trained = trainBpe(["Don't panic, don't. 1234 12345"], {
      vocabularySize: 280,
      specialTokens: ["<s>", "</s>", "<pad>"],
      bos: "<s>",
      eos: "</s>",
      pad: "<pad>",
      pattern: llama3Pattern,
      chatTemplate: "{{ messages[0].content }}",
    });
    await trained.save(folder);
    const loaded = await Tokenizer.load(folder);
    assert.deepEqual(loaded.special, { bos: 0, eos: [1], pad: 2 });
    assert.equal(loaded.chatTemplate, "{{ messages[0].content }}");
    const text = "DON'T 99999 <s>é";
    assert.deepEqual(loaded.encode(text), trained.tokenizer().encode(text));
    assert.deepEqual(loaded.encode("a", { special: true }).slice(0, 1), [0]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a size without room for the bytes, or a role that is no token, is refused", () => {
  assert.throws(() => trainBpe([], { vocabularySize: 255 }), TokenizerError);
  assert.throws(() => trainBpe([], { vocabularySize: NaN }), TokenizerError);
  assert.throws(() => trainBpe([], { vocabularySize: 300, bos: "<s>" }), /not a special token/);
  assert.throws(
    () => trainBpe([], { vocabularySize: 300, specialTokens: ["x", "x"] }),
    TokenizerError,
  );
});
