import assert from "node:assert/strict";
import fc from "fast-check";
import { Tokenizer, TokenizerError, TokenStream, trainBpe } from "../../text/mod.ts";
import { sharedPath, sharedTest } from "./shared.ts";

const bytes: Tokenizer = trainBpe(["the quick brown fox, été 🦙"], {
  vocabularySize: 290,
  specialTokens: ["<s>", "</s>"],
  bos: "<s>",
  eos: "</s>",
}).tokenizer();

function streamed(tokenizer: Tokenizer, ids: readonly number[]): string[] {
  const stream = tokenizer.stream();
  return [...ids.map((id) => stream.push(id)), stream.flush()];
}

Deno.test("streamed text is the text, and no piece ends inside a character", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => {
    const pieces = streamed(bytes, bytes.encode(text));
    assert.equal(pieces.join(""), text);
    for (const piece of pieces) assert.ok(!piece.includes("\ufffd") || text.includes("\ufffd"));
  }));
});

Deno.test("any ids stream to what decoding them at once gives, invalid bytes included", () => {
  const ids = fc.array(fc.nat(bytes.vocabularySize - 1), { maxLength: 40 });
  fc.assert(fc.property(ids, (ids) => {
    const whole = new TextDecoder("utf-8", { ignoreBOM: true }).decode(
      Uint8Array.from(ids.flatMap((id) => [...bytes.bytesOf(id)])),
    );
    assert.equal(streamed(bytes, ids).join(""), whole);
    assert.equal(bytes.decode(ids), whole);
    const stream = bytes.stream();
    const half = ids.length >> 1;
    const parts = [stream.pushAll(ids.slice(0, half)), stream.pushAll(ids.slice(half))];
    assert.equal(parts.join("") + stream.flush(), whole);
  }));
});

Deno.test("text is held back only while a character can still be completed", () => {
  const source = {
    bytesOf: (id: number) => Uint8Array.of(id),
    isSpecial: () => false,
    leadingSpaces: 0,
    special: {},
  };
  const push = (values: number[]): string[] => {
    const stream = new TokenStream(source);
    return [...values.map((value) => stream.push(value)), stream.flush()];
  };
  assert.deepEqual(push([0xf0, 0x9f, 0xa6, 0x99]), ["", "", "", "🦙", ""]);
  assert.deepEqual(push([0xf0, 0x28]), ["", "\ufffd(", ""]);
  assert.deepEqual(push([0xed, 0xa0, 0x80]), ["", "\ufffd\ufffd", "\ufffd", ""]);
  assert.deepEqual(push([0xe2, 0x82]), ["", "", "\ufffd"]);
  assert.deepEqual(push([0xc0, 0x41]), ["\ufffd", "A", ""]);
});

Deno.test("special tokens can be left out of a stream", () => {
  const ids = [0, ...bytes.encode("fox"), 1];
  assert.equal(bytes.decode(ids), "<s>fox</s>");
  assert.equal(bytes.decode(ids, { special: false }), "fox");
});

sharedTest(
  "a SentencePiece stream drops the space that encoding put first, and no other",
  ["models/stories260K/tok512.bin"],
  async () => {
    const tokenizer = await Tokenizer.load(sharedPath("models/stories260K/tok512.bin"));
    fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => {
      fc.pre(!text.includes("\u2581"));
      assert.equal(streamed(tokenizer, tokenizer.encode(text, { plain: true })).join(""), text);
    }));
    assert.equal(tokenizer.decode(tokenizer.encode("  two")), "  two");
  },
);

Deno.test("an id outside the vocabulary is an error that names it", () => {
  for (const id of [-1, 1.5, NaN, bytes.vocabularySize, 2 ** 40]) {
    assert.throws(() => bytes.decode([id]), TokenizerError);
    assert.throws(() => bytes.tokenOf(id), new RegExp(`id ${id} has no token`));
  }
  assert.throws(() => bytes.idOf("no such token"), TokenizerError);
});
