import assert from "node:assert/strict";
import fc from "fast-check";
import {
  allocate,
  apportion,
  GaussianCurriculum,
  gaussianShares,
  type Rated,
  withoutEasy,
} from "../../../train/grpo/mod.ts";

async function drain<T>(curriculum: GaussianCurriculum<T>, most = Infinity): Promise<T[]> {
  const rows: T[] = [];
  while (rows.length < most) {
    const row = await curriculum.next();
    if (row === null) break;
    rows.push(row);
  }
  return rows;
}

const rates = fc.array(fc.integer({ min: 0, max: 8 }).map((right) => right / 8), {
  minLength: 1,
  maxLength: 120,
});
const rated = (rates: readonly number[]): Rated<number>[] =>
  rates.map((passRate, row) => ({ row, passRate }));
const settings = fc.record({
  batch: fc.integer({ min: 1, max: 20 }),
  batches: fc.integer({ min: 1, max: 12 }),
  width: fc.double({ min: 0.02, max: 1, noNaN: true }),
  bins: fc.integer({ min: 1, max: 9 }),
  seed: fc.integer({ min: 0, max: 1000 }),
});

Deno.test("every row comes once in an epoch, whatever the curriculum", async () => {
  await fc.assert(
    fc.asyncProperty(rates, settings, async (rates, settings) => {
      const epochs = 2,
        rows = await drain(new GaussianCurriculum(rated(rates), { ...settings, epochs }));
      assert.equal(rows.length, epochs * rates.length);
      const all = rates.map((_, row) => row);
      for (let epoch = 0; epoch < epochs; epoch++) {
        const part = rows.slice(epoch * rates.length, (epoch + 1) * rates.length);
        assert.deepEqual(part.toSorted((a, b) => a - b), all);
      }
    }),
    { numRuns: 200, seed: 1 },
  );
});

Deno.test("a curriculum goes on from its state exactly, also within a batch", async () => {
  await fc.assert(
    fc.asyncProperty(rates, settings, fc.nat(200), async (rates, settings, cut) => {
      const make = () => new GaussianCurriculum(rated(rates), { ...settings, epochs: 2 });
      const whole = await drain(make()), first = make();
      const before = await drain(first, Math.min(cut, whole.length));
      const second = make();
      second.restore(JSON.parse(JSON.stringify(first.state())));
      assert.deepEqual([...before, ...await drain(second)], whole);
    }),
    { numRuns: 200, seed: 2 },
  );
});

Deno.test("a batch takes each bin's share as far as there are rows, and the rest from the largest pools", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(30), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 60 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (available, batch, mean) => {
        const shares = gaussianShares(mean, 0.15, available.length);
        const taken = allocate(batch, shares, available);
        const total = available.reduce((sum, count) => sum + count, 0);
        assert.equal(taken.reduce((sum, count) => sum + count, 0), Math.min(batch, total));
        const least = apportion(batch, shares).map((count, bin) => Math.min(count, available[bin]));
        const extra = taken.map((count, bin) => count - least[bin]);
        const left = available.map((count, bin) => count - taken[bin]);
        taken.forEach((count, bin) => {
          assert.ok(count >= least[bin] && count <= available[bin]);
          // Whoever gave more than its share has about as much left as the others at most.
          if (extra[bin] > 0) assert.ok(left.every((other) => other <= left[bin] + 1));
        });
      },
    ),
    { numRuns: 500, seed: 3 },
  );
});

Deno.test("a batch is apportioned to shares without losing a row, each within one of its share", () => {
  assert.deepEqual(apportion(1, [0.2, 0.5, 0.3]), [0, 1, 0]);
  assert.deepEqual(apportion(10, [0.25, 0.25, 0.5]), [3, 2, 5]);
  const shares = gaussianShares(0.4, 0.2, 7);
  for (let batch = 0; batch < 40; batch++) {
    const counts = apportion(batch, shares);
    assert.equal(counts.reduce((sum, count) => sum + count, 0), batch);
    assert.ok(counts.every((count, bin) => Math.abs(count - batch * shares[bin]) < 1));
  }
});

Deno.test("shares are a Gaussian over the bins, also where it is narrow", () => {
  assert.deepEqual(gaussianShares(0.5, 1e-9, 3), [0, 1, 0]);
  const [low, middle, high] = gaussianShares(0.5, 0.25, 3);
  assert.ok(Math.abs(low - high) < 1e-12 && middle > low);
  assert.ok(Math.abs(middle / low - Math.exp((1 / 3 / 0.25) ** 2 / 2)) < 1e-9);
});

Deno.test("batches go from easy to hard along the path that was asked for", async () => {
  const rates = Array.from({ length: 640 }, (_, i) => (i % 8) / 8);
  const means = async (mean?: (progress: number) => number) => {
    const options = { batch: 32, batches: 20, epochs: 1, width: 0.1, ...(mean && { mean }) };
    const rows = await drain(new GaussianCurriculum(rated(rates), options));
    return Array.from({ length: 20 }, (_, batch) => {
      const part = rows.slice(32 * batch, 32 * batch + 32);
      return part.reduce((sum, row) => sum + rates[row], 0) / part.length;
    });
  };
  const average = (values: number[]) =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const easyFirst = await means(), hardFirst = await means((progress) => progress);
  assert.ok(average(easyFirst.slice(0, 5)) > average(easyFirst.slice(5, 10)) + 0.05);
  assert.ok(average(easyFirst.slice(0, 5)) > 0.5);
  assert.ok(average(hardFirst.slice(0, 5)) < 0.3);
});

Deno.test("prompts with a pass rate of 0.75 and above are left out: the easy ones", () => {
  assert.deepEqual(withoutEasy(rated([0, 0.5, 0.74, 0.75, 1])).map(({ passRate }) => passRate), [
    0,
    0.5,
    0.74,
  ]);
});

Deno.test("pass rates outside of 0 to 1, no rows, and states of other rows are refused", () => {
  const options = { batch: 2, batches: 2 };
  assert.throws(() => new GaussianCurriculum(rated([1.5]), options), /pass rates from 0 to 1/);
  assert.throws(() => new GaussianCurriculum([], options), /no rows/);
  const other = new GaussianCurriculum(rated([0, 1]), { ...options, bins: 3 });
  assert.throws(
    () => new GaussianCurriculum(rated([0, 1]), options).restore(other.state()),
    /other rows/,
  );
});
