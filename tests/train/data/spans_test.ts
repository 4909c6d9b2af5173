import assert from "node:assert/strict";
import fc from "fast-check";
import { elementSpans, lineSpans, pieceSpans, type SpanIndex } from "../../../train/data/spans.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The bytes in chunks of a size, as a file gives them. */
function* chunksOf(bytes: Uint8Array, size: number): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

function textsOf(spans: SpanIndex, bytes: Uint8Array): string[] {
  return Array.from(
    { length: spans.count },
    (_, i) =>
      new TextDecoder().decode(bytes.subarray(spans.start(i), spans.start(i) + spans.length(i))),
  );
}

const chunkSizes = fc.integer({ min: 1, max: 20 });

Deno.test("lines are found wherever chunks end", () => {
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[a-c"]*$/), { minLength: 1 }),
      chunkSizes,
      (lines, size) => {
        const bytes = utf8(lines.join("\n"));
        const found = textsOf(lineSpans(chunksOf(bytes, size)), bytes);
        assert.deepEqual(found, lines.at(-1) === "" ? lines.slice(0, -1) : lines);
      },
    ),
  );
});

Deno.test("elements of any JSON array are found wherever chunks end", () => {
  const hard = fc.string({ unit: fc.constantFrom('"', "\\", "[", "]", "{", "}", ",", "é", " ") });
  const values = fc.array(
    fc.oneof(fc.jsonValue(), hard, fc.array(hard), fc.dictionary(hard, hard)),
  );
  fc.assert(
    fc.property(values, chunkSizes, fc.boolean(), (list, size, indented) => {
      const bytes = utf8(JSON.stringify(list, null, indented ? 1 : 0));
      const spans = elementSpans(chunksOf(bytes, size))!;
      const wanted = JSON.parse(JSON.stringify(list)) as unknown[];
      assert.deepEqual(textsOf(spans, bytes).map((text) => JSON.parse(text) as unknown), wanted);
    }),
    { numRuns: 500 },
  );
});

Deno.test("an array that is cut anywhere is told from a whole one", () => {
  const bytes = utf8('[{"a": "]"}, ["\\"]"]]');
  for (let length = 1; length < bytes.length; length++) {
    assert.equal(elementSpans([bytes.subarray(0, length)]), null, `${length}`);
  }
  assert.equal(elementSpans([bytes])?.count, 2);
});

Deno.test("documents and pieces are the same wherever chunks end", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "\n", "é", "🦙", "|"), maxLength: 80 });
  fc.assert(
    fc.property(
      text,
      chunkSizes,
      fc.integer({ min: 4, max: 30 }),
      fc.boolean(),
      (written, size, pieceBytes, cut) => {
        const bytes = utf8(written),
          options = cut ? { separator: "||", pieceBytes } : { pieceBytes };
        const found = textsOf(pieceSpans(chunksOf(bytes, size), options), bytes);
        assert.deepEqual(found, textsOf(pieceSpans([bytes], options), bytes));
        const documents = cut ? written.split("||") : [written];
        assert.equal(found.join(""), documents.join(""));
        assert.ok(
          found.every((piece) =>
            piece !== "" && utf8(piece).length <= pieceBytes && !piece.includes("\ufffd")
          ),
        );
        assert.ok(!cut || found.every((piece) => !piece.includes("||")));
      },
    ),
  );
});
