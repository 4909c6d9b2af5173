/** Stop texts in a stream. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { StopText } from "../../text/stop_text.ts";

const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 20 });

Deno.test("a stream ends before the first stop text however it is cut", () => {
  const stops = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 4 }), {
    maxLength: 3,
  });
  fc.assert(
    fc.property(fc.array(letters), stops, (pieces, stops) => {
      const text = pieces.join("");
      const found = stops.filter((stop) => stop !== "").map((stop) => text.indexOf(stop))
        .filter((at) => at >= 0);
      const stream = new StopText(stops);
      const shown = pieces.map((piece) => stream.push(piece)).join("") + stream.flush();
      assert.equal(shown, text.slice(0, Math.min(text.length, ...found)));
      assert.equal(stream.stopped, found.length > 0);
    }),
  );
});

Deno.test("only what may become a stop text is held back", () => {
  const stream = new StopText(["<end>"]);
  assert.deepEqual(["abc<", "en", "x"].map((piece) => stream.push(piece)), ["abc", "", "<enx"]);
});

Deno.test("of two stop texts the one that begins first counts, even if the other ends first", () => {
  const completed = new StopText(["c", "bca"]);
  assert.deepEqual(["b", "c", "a"].map((piece) => completed.push(piece)), ["", "", ""]);
  assert.ok(completed.stopped);
  const failed = new StopText(["c", "bca"]);
  assert.deepEqual(["b", "c", "x"].map((piece) => failed.push(piece)), ["", "", "b"]);
  assert.ok(failed.stopped);
  const ended = new StopText(["c", "bca"]);
  assert.deepEqual([ended.push("bc"), ended.flush(), ended.stopped], ["", "b", true]);
});
