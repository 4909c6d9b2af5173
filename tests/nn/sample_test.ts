import assert from "node:assert/strict";
import { type SampleOptions, sampleToken } from "../../nn/mod.ts";

const logits = [1, 3, 2, 3, -Infinity];
const draws = Array.from({ length: 1000 }, (_, i) => i / 1000);
const chosen = (options: SampleOptions): number[] =>
  [...new Set(draws.map((u) => sampleToken(logits, options, u)))].sort();

Deno.test("temperature 0 takes the first of the likeliest tokens", () => {
  assert.deepEqual(chosen({}), [1]);
});

Deno.test("tokens are drawn as often as their probability says, impossible ones never", () => {
  const weights = logits.map((z) => Math.exp(z / 2)), total = weights.reduce((a, b) => a + b);
  const counts = logits.map(() => 0);
  for (const u of draws) counts[sampleToken(logits, { temperature: 2 }, u)]++;
  counts.forEach((count, id) =>
    assert.ok(Math.abs(count - 1000 * weights[id] / total) <= 1, `token ${id}: ${count}`)
  );
});

Deno.test("top-k keeps the k likeliest, the first of equals first", () => {
  assert.deepEqual(chosen({ temperature: 1, topK: 1 }), [1]);
  assert.deepEqual(chosen({ temperature: 1, topK: 2 }), [1, 3]);
  assert.deepEqual(chosen({ temperature: 1, topK: 99 }), [0, 1, 2, 3]);
});

Deno.test("top-p keeps the fewest of the likeliest tokens that reach p", () => {
  // Probabilities: 0.40, 0.40, 0.15, 0.05.
  assert.deepEqual(chosen({ temperature: 1, topP: 0.3 }), [1]);
  assert.deepEqual(chosen({ temperature: 1, topP: 0.5 }), [1, 3]);
  assert.deepEqual(chosen({ temperature: 1, topP: 0.9 }), [1, 2, 3]);
});

Deno.test("a temperature or a topP that makes no sense is refused", () => {
  for (const options of [{ temperature: -1 }, { temperature: NaN }, { topP: 0 }, { topP: 2 }]) {
    assert.throws(() => sampleToken(logits, { temperature: 1, ...options }, 0), RangeError);
  }
});
