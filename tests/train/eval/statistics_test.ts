import assert from "node:assert/strict";
import { bootstrapMean, passAtK, wilsonInterval } from "../../../train/eval/mod.ts";
import { uniforms } from "../../support.ts";

const close = (actual: number, expected: number, what: string): void =>
  assert.ok(Math.abs(actual - expected) < 1e-6, `${what}: ${actual}, expected ${expected}`);

Deno.test("pass@k is one minus the share of subsets without a right sample", () => {
  const subsets = (n: number, k: number): number[][] =>
    k === 0
      ? [[]]
      : Array.from({ length: n }, (_, last) => last).flatMap((last) =>
        subsets(last, k - 1).map((rest) => [...rest, last])
      );
  for (let n = 1; n <= 7; n++) {
    for (let c = 0; c <= n; c++) {
      for (let k = 1; k <= n; k++) {
        const all = subsets(n, k), passing = all.filter((subset) => subset.some((i) => i < c));
        close(passAtK(n, c, k), passing.length / all.length, `n ${n} c ${c} k ${k}`);
      }
    }
  }
  assert.throws(() => passAtK(2, 1, 3), RangeError);
});

Deno.test("Wilson's interval has the published values, and stays inside of 0 and 1", () => {
  // Agresti & Coull, "Approximate is better than exact" (1998): 0 of 10 gives (0, 0.278), 5 of 10 (0.237, 0.763).
  const none = wilsonInterval(0, 10), half = wilsonInterval(5, 10), all = wilsonInterval(10, 10);
  assert.deepEqual([none.low, all.high], [0, 1]);
  assert.deepEqual([none.high, half.low, half.high].map((x) => x.toFixed(3)), [
    "0.278",
    "0.237",
    "0.763",
  ]);
  assert.ok(Number.isNaN(wilsonInterval(0, 0).value));
});

Deno.test("the bootstrap interval covers the true mean about as often as it says", () => {
  const next = uniforms(3);
  let covered = 0;
  const trials = 200;
  for (let trial = 0; trial < trials; trial++) {
    const figures = Array.from({ length: 60 }, () => next() < 0.3 ? 1 : 0);
    const { low, high } = bootstrapMean(figures, { resamples: 300, seed: trial });
    if (low <= 0.3 && 0.3 <= high) covered++;
  }
  assert.ok(covered / trials > 0.88 && covered / trials <= 1, `${covered} of ${trials}`);
});

Deno.test("the same seed gives the same bootstrap", () => {
  const figures = [0, 1, 0.5, 0.25, 1];
  assert.deepEqual(bootstrapMean(figures, { seed: 4 }), bootstrapMean(figures, { seed: 4 }));
  assert.equal(bootstrapMean(figures).value, 0.55);
});
