import assert from "node:assert/strict";
import { device, DTypeError, permutation, philox, RandomKey, Tensor } from "../../tensor/mod.ts";
import { randomTensor, tensorTest } from "../support.ts";

const key = new RandomKey(7).derive("test");

Deno.test("Philox4x32-10 gives the known answers of Random123", () => {
  const hex = (words: readonly number[]): string =>
    words.map((word) => word.toString(16).padStart(8, "0")).join(" ");
  const ones = 0xffffffff;
  assert.equal(hex(philox([0, 0, 0, 0], [0, 0])), "6627e8d5 e169c58d bc57ac4c 9b00dbd8");
  assert.equal(
    hex(philox([ones, ones, ones, ones], [ones, ones])),
    "408f276d 41c83b0e a20bc7c6 6d5451fd",
  );
  const pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344] as const;
  assert.equal(
    hex(philox(pi, [0xa4093822, 0x299f31d0])),
    "d16cfe09 94fdcceb 5001e420 24126ea1",
  );
});

Deno.test("keys of different purposes differ, equal ones are equal", () => {
  const purposes = ["", "a", "a\0", "b", "twelve bytes", "twelve bytes and more", 0, 1, 2 ** 40];
  const keys = purposes.map((purpose) => key.derive(purpose).words.join());
  assert.equal(new Set(keys).size, purposes.length);
  purposes.forEach((purpose, i) => assert.equal(key.derive(purpose).words.join(), keys[i]));
  assert.notEqual(new RandomKey(1).bits(0), new RandomKey(2 ** 32 + 1).bits(0));
  assert.throws(() => new RandomKey(-1), RangeError);
  assert.throws(() => key.derive(0.5), RangeError);
});

tensorTest("a uniform tensor holds the high bits of the key's words", () => {
  const numbers = Tensor.uniform([1000], key).data();
  assert.deepEqual(numbers, Float32Array.from(numbers, (_, i) => (key.bits(i) >>> 8) / 2 ** 24));
  const halves = Tensor.uniform([1000], key, { dtype: "bf16" }).data();
  assert.deepEqual(halves, Float32Array.from(halves, (_, i) => (key.bits(i) >>> 24) / 2 ** 8));
});

for (const name of ["uniform", "normal"] as const) {
  tensorTest(
    `${name} numbers depend on key and counter only, not on shape, place or threads`,
    () => {
      const whole = Tensor[name]([70, 1000], key).data(), before = device().threads;
      for (const threads of [1, 2, 3]) {
        device().threads = threads;
        assert.deepEqual(Tensor[name]([70_000], key).data(), whole);
        for (const [start, count] of [[0, 1], [1, 2], [63, 130], [69_999, 1]]) {
          const part = Tensor[name]([count], key, { offset: start }).data();
          assert.deepEqual(part, whole.slice(start, start + count));
        }
      }
      device().threads = before;
    },
  );
}

/** Mean, variance, and the share of elements within `bound` of the mean. */
function statistics(x: ArrayLike<number>, bound: number): number[] {
  let mean = 0, variance = 0, within = 0;
  for (let i = 0; i < x.length; i++) mean += x[i] / x.length;
  for (let i = 0; i < x.length; i++) {
    variance += (x[i] - mean) ** 2 / x.length;
    if (Math.abs(x[i] - mean) < bound) within += 1 / x.length;
  }
  return [mean, variance, within];
}

function assertNear(actual: number[], expected: number[], tolerance: number): void {
  actual.forEach((value, i) =>
    assert.ok(Math.abs(value - expected[i]) < tolerance, `${actual} is not near ${expected}`)
  );
}

tensorTest("uniform numbers fill [0, 1) evenly", () => {
  const x = Tensor.uniform([200_000], key).data();
  assert.ok(x.every((value) => value >= 0 && value < 1));
  assertNear(statistics(x, 0.25), [0.5, 1 / 12, 0.5], 0.005);
});

tensorTest("normal numbers have their mean, deviation and tails", () => {
  const x = Tensor.normal([200_000], key, { mean: 3, std: 0.5 }).data();
  assertNear(statistics(x, 0.5), [3, 0.25, 0.6827], 0.005);
  assertNear(statistics(x, 1.5).slice(2), [0.9973], 0.001);
  // Neighbours, which come from one pair of words, are not correlated.
  let product = 0;
  for (let i = 0; i < x.length; i += 2) product += (x[i] - 3) * (x[i + 1] - 3) / (x.length / 2);
  assertNear([product], [0], 0.005);
});

tensorTest(
  "dropout drops the given share, scales the rest, and its gradient drops the same",
  () => {
    const x = Tensor.ones([100, 1000]).requireGrad();
    const out = x.dropout(0.25, key);
    const kept = Array.from(out.data(), (value) => value !== 0);
    assertNear([kept.filter(Boolean).length / 1e5], [0.75], 0.005);
    assert.ok(out.data().every((value) => value === 0 || value === Math.fround(1 / 0.75)));
    out.sum().backward();
    assert.deepEqual(x.grad!.data(), out.data());
  },
);

tensorTest("dropout of a part, given its place, is that part of the whole", () => {
  const x = randomTensor([50, 30], 1);
  const part = x.slice(0, 20, 30).dropout(0.5, key, { offset: 600 });
  assert.deepEqual(part.data(), x.dropout(0.5, key).slice(0, 20, 30).data());
});

tensorTest("dropout drops what is not finite too, and p = 0 changes nothing", () => {
  const x = Tensor.full([100], Infinity);
  assert.ok(x.dropout(0.5, key).data().every((value) => value === 0 || value === Infinity));
  assert.deepEqual(randomTensor([9], 1).dropout(0, key).data(), randomTensor([9], 1).data());
});

tensorTest("random numbers refuse integer types, odd probabilities and offsets", () => {
  assert.throws(() => Tensor.uniform([2], key, { dtype: "i32" }), DTypeError);
  assert.throws(() => Tensor.normal([2], key, { offset: -1 }), RangeError);
  assert.throws(() => Tensor.ones([2]).dropout(1, key), RangeError);
  assert.throws(() => Tensor.ones([2]).dropout(NaN, key), RangeError);
});

Deno.test("a permutation holds every number once, and all orders are equally likely", () => {
  assert.deepEqual(
    permutation(1000, key).toSorted(),
    Uint32Array.from({ length: 1000 }, (_, i) => i),
  );
  assert.deepEqual(permutation(1000, key), permutation(1000, key));
  assert.equal(permutation(0, key).length, 0);
  const counts = new Map<string, number>();
  for (let i = 0; i < 6000; i++) {
    const order = permutation(3, key.derive(i)).join();
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assert.equal(counts.size, 6);
  for (const count of counts.values()) assert.ok(Math.abs(count - 1000) < 120, `${count} of 6000`);
});

Deno.test("numbers drawn on the host are uniform in [0, 1)", () => {
  const x = Array.from({ length: 50_000 }, (_, i) => key.uniform(i));
  assert.ok(x.every((value) => value >= 0 && value < 1));
  assertNear(statistics(x, 0.25), [0.5, 1 / 12, 0.5], 0.01);
});
