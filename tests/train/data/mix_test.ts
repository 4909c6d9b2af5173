import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Cursor,
  type MixedStream,
  mixStreams,
  rowsOf,
  streamRows,
} from "../../../train/data/mod.ts";
import { take } from "./support.ts";

/** A source of items that name it; `count` of them, or without end. */
function named(name: string, count = Infinity): Cursor<string> {
  if (count === Infinity) return streamRows(rowsOf([name], name));
  const items = Array.from({ length: count }, () => name);
  return streamRows(rowsOf(items, name), { epochs: 1 });
}

function mixture(
  weights: readonly number[],
  seed: number,
  size?: (item: string) => number,
): MixedStream<string> {
  const parts = weights.map((weight, i) => ({ source: named(`${i}`), weight }));
  return mixStreams(parts, { seed, ...(size === undefined ? {} : { size }) });
}

Deno.test("weights hold within sampling error", async () => {
  const weights = [0.7, 0.15, 0.1, 0.05], draws = 4000;
  for (let seed = 0; seed < 5; seed++) {
    const mixed = mixture(weights, seed);
    await take(mixed, draws);
    const chiSquare = weights.reduce(
      (sum, weight, i) => sum + (mixed.taken[i] - weight * draws) ** 2 / (weight * draws),
      0,
    );
    assert.ok(chiSquare < 16.3, `${chiSquare} for ${mixed.taken}`); // 3 degrees of freedom, p = 0.001
  }
});

Deno.test("by size, shares of tokens hold within one item, whatever their sizes", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 50 })), {
      minLength: 1,
      maxLength: 4,
    }),
    fc.integer({ min: 1, max: 200 }),
    async (parts, draws) => {
      const sizes = parts.map(([, size]) => size);
      const mixed = mixture(parts.map(([weight]) => weight), 0, (item) => sizes[Number(item)]);
      await take(mixed, draws);
      const shares = mixed.taken.map((taken, i) => taken / parts[i][0]);
      const slack = Math.max(...parts.map(([weight, size]) => size / weight));
      assert.ok(Math.max(...shares) - Math.min(...shares) <= slack + 1e-9);
    },
  ));
});

Deno.test("one seed gives one order", async () => {
  const orders = await Promise.all([1, 1, 2].map((seed) => take(mixture([1, 2], seed), 30)));
  assert.deepEqual(orders[0], orders[1]);
  assert.notDeepEqual(orders[0], orders[2]);
});

Deno.test("a source that has ended leaves its share to the others", async () => {
  const parts = [{ source: named("a", 3), weight: 1 }, { source: named("b", 5), weight: 1 }];
  const items = await take(mixStreams(parts));
  assert.deepEqual(items.toSorted(), ["a", "a", "a", "b", "b", "b", "b", "b"]);
});

Deno.test("a mixture goes on where another stopped, also after sources have ended", async () => {
  await fc.assert(fc.asyncProperty(fc.nat(30), fc.boolean(), async (behind, bySize) => {
    const make = (): MixedStream<string> =>
      mixStreams(
        [3, 8, Infinity].map((count, i) => ({ source: named(`${i}`, count), weight: i + 1 })),
        { seed: 2, ...(bySize ? { size: (item) => 1 + Number(item) } : {}) },
      );
    const all = await take(make(), behind + 20), begun = make(), resumed = make();
    await take(begun, behind);
    resumed.restore(JSON.parse(JSON.stringify(begun.state())));
    assert.deepEqual(await take(resumed, 20), all.slice(behind));
  }));
});

Deno.test("weights that are not positive, no sources and another number of sources are refused", () => {
  assert.throws(() => mixture([1, 0], 0), {
    name: "DataError",
    message: "mixStreams: a weight is 0 (above 0 expected). Leave out sources that are not wanted.",
  });
  assert.throws(() => mixStreams([]), /mixStreams: there are no sources \(0\)/);
  const state = mixture([1, 1], 0).state();
  assert.throws(
    () => mixture([1], 0).restore(state),
    /the mixture is not what the checkpoint was made with, 1 sources \(2 then\)/,
  );
});
