import assert from "node:assert/strict";
import {
  type AttentionOptions,
  DTypeError,
  IndexError,
  type NumberArray,
  packedSequences,
  type Sequences,
  ShapeError,
  Tensor,
} from "../../tensor/mod.ts";
import { assertClose, randomTensor, tensorTest } from "../support.ts";

const close = { absolute: 2e-6, relative: 2e-5 };

/** q, k and v: [batch, time, heads, headDim] with `kvHeads` heads of keys, and their gradients under a fixed seed. */
function gradients(inputs: readonly Tensor[], options: AttentionOptions): NumberArray[] {
  const [q, k, v] = inputs.map((x) => x.detach().requireGrad());
  const out = q.attention(k, v, options);
  out.backward(randomTensor(out.shape, 99));
  return [out, q.grad!, k.grad!, v.grad!].map((x) => x.data());
}

tensorTest("attention is softmax(q·kᵀ / √headDim)·v", () => {
  const q = randomTensor([2, 9, 3, 8], 1), k = randomTensor([2, 11, 3, 8], 2);
  const v = randomTensor([2, 11, 3, 8], 3);
  const byHead = (x: Tensor): Tensor => x.permute([0, 2, 1, 3]);
  const weights = byHead(q).matmul(byHead(k).t()).mul(1 / Math.sqrt(8)).exp();
  const expected = byHead(weights.div(weights.sum(-1, true)).matmul(byHead(v)));
  assertClose(q.attention(k, v).data(), expected.data(), close, "attention");
});

tensorTest("heads that share keys see the same as if the keys were repeated", () => {
  const q = randomTensor([1, 20, 4, 16], 1);
  const k = randomTensor([1, 20, 2, 16], 2), v = randomTensor([1, 20, 2, 16], 3);
  const repeated = (x: Tensor): Tensor =>
    x.unsqueeze(3).expand([1, 20, 2, 2, 16]).reshape([1, 20, 4, 16]);
  const expected = q.attention(repeated(k), repeated(v), { causal: true });
  assert.deepEqual(q.attention(k, v, { causal: true }).data(), expected.data());
});

tensorTest("a causal query sees nothing of later tokens", () => {
  const q = randomTensor([1, 70, 2, 8], 1), k = randomTensor([1, 70, 2, 8], 2);
  const changed = k.clone();
  changed.slice(1, 40).fill(NaN);
  const before = q.attention(k, k, { causal: true }).slice(1, 0, 40).data();
  assert.deepEqual(q.attention(changed, changed, { causal: true }).slice(1, 0, 40).data(), before);
});

tensorTest("queries are the last positions when there are more keys, as in a cache", () => {
  const q = randomTensor([1, 30, 2, 8], 1), k = randomTensor([1, 30, 2, 8], 2);
  const whole = q.attention(k, k, { causal: true });
  const last = q.slice(1, 25).attention(k, k, { causal: true });
  assert.deepEqual(last.data(), whole.slice(1, 25).data());
});

tensorTest("a window of one key returns its value", () => {
  const q = randomTensor([1, 10, 1, 4], 1), v = randomTensor([1, 10, 1, 4], 2);
  const out = q.attention(q, v, { causal: true, window: 1 });
  assertClose(out.data(), v.data(), close, "values");
});

tensorTest("packed sequences are as good as one after the other, gradients too", () => {
  const lengths = [5, 0, 70, 1], tokens = 76;
  const inputs = [
    randomTensor([tokens, 4, 8], 1),
    randomTensor([tokens, 2, 8], 2),
    randomTensor([tokens, 2, 8], 3),
  ];
  const packed = inputs.map((x) => x.detach().requireGrad());
  const single = inputs.map((x) => x.detach().requireGrad());
  const seed = randomTensor([tokens, 4, 8], 4);
  const out = packed[0].attention(packed[1], packed[2], {
    causal: true,
    sequences: packedSequences(lengths),
  });
  out.backward(seed);
  let start = 0;
  for (const length of lengths) {
    const end = start + length;
    const [q, k, v] = single.map((x) => x.slice(0, start, end));
    const alone = q.attention(k, v, { causal: true });
    assert.deepEqual(out.slice(0, start, end).data(), alone.data());
    alone.backward(seed.slice(0, start, end));
    start = end;
  }
  packed.forEach((x, i) => assert.deepEqual(x.grad!.data(), single[i].grad!.data(), `input ${i}`));
});

tensorTest("decode steps read their part of a shared cache", () => {
  const cache = randomTensor([100, 2, 8], 1), q = randomTensor([3, 2, 8], 2);
  const keyStarts = [60, 0, 20], keyLengths = [30, 7, 20];
  const sequences = packedSequences([1, 1, 1], { keyStarts, keyLengths });
  const out = q.attention(cache, cache, { causal: true, sequences });
  keyStarts.forEach((start, i) => {
    const keys = cache.slice(0, start, start + keyLengths[i]);
    const alone = q.slice(0, i, i + 1).attention(keys, keys);
    assert.deepEqual(out.slice(0, i, i + 1).data(), alone.data());
  });
});

tensorTest("slices of a fused projection give the same as copies, gradients too", () => {
  const fused = randomTensor([2, 6, 8, 16], 1);
  const slices = [fused.slice(2, 0, 4), fused.slice(2, 4, 6), fused.slice(2, 6, 8)];
  const copies = slices.map((x) => x.contiguous());
  assert.deepEqual(gradients(slices, { causal: true }), gradients(copies, { causal: true }));
  // Steps that the kernels cannot take are copied first.
  const reversed = copies.map((x) => x.permute([1, 0, 2, 3]).contiguous().permute([1, 0, 2, 3]));
  assert.deepEqual(gradients(reversed, { causal: true }), gradients(copies, { causal: true }));
});

tensorTest("a query that sees no key gives zeros and sends no gradient", () => {
  const inputs = [
    randomTensor([5, 1, 4], 1),
    randomTensor([2, 1, 4], 2),
    randomTensor([2, 1, 4], 3),
  ];
  const [out, dq] = gradients(inputs, { causal: true });
  assert.deepEqual(Array.from(out.slice(0, 12)), new Array(12).fill(0));
  assert.deepEqual(Array.from(dq.slice(0, 12)), new Array(12).fill(0));
  assert.ok(Array.from(out).every(Number.isFinite) && Array.from(dq).every(Number.isFinite));
});

tensorTest("sequences outside of the tokens are errors, not crashes", () => {
  const x = randomTensor([6, 2, 4], 1);
  const integers = (values: number[]): Tensor =>
    Tensor.from(values, [values.length], { dtype: "i32" });
  const wrong = (offsets: number[], starts: number[], lengths: number[], message: RegExp): void => {
    const sequences: Sequences = {
      queryOffsets: integers(offsets),
      keyStarts: integers(starts),
      keyLengths: integers(lengths),
    };
    assert.throws(
      () => x.attention(x, x, { sequences }),
      (error) => error instanceof IndexError && message.test(error.message),
    );
  };
  wrong([0, 6], [0], [7], /keys of sequence 0 are not in the tensor, 0 to 7 \(7 vs 6\)/);
  wrong([0, 6], [-1], [3], /sequence 0/);
  wrong([0, 6], [2], [-1], /sequence 0/);
  wrong([0, 6], [2 ** 31 - 1], [2 ** 31 - 1], /sequence 0/);
  wrong([0, 4, 3], [0, 0], [6, 6], /decrease/);
  wrong([0, 5], [0], [6], /from 0 to 5, the queries from 0 to 6/);
  wrong([-1, 6], [0], [6], /from -1/);
  wrong([0, 2 ** 31 - 1], [0], [6], /2147483647/);
  wrong([0], [], [], /from 0 to 0/);
});

tensorTest("sequences that share keys have no gradient", () => {
  const q = randomTensor([2, 1, 4], 1).requireGrad(), k = randomTensor([5, 1, 4], 2);
  const sequences = packedSequences([1, 1], { keyStarts: [0, 2], keyLengths: [3, 3] });
  const loss = q.attention(k, k, { sequences }).sum();
  assert.throws(() => loss.backward(), /sequences 0 and 1 share keys/);
});

tensorTest("attention names shapes, types and windows that do not fit", () => {
  const ones = (...shape: number[]): Tensor => Tensor.ones(shape);
  const q = ones(1, 3, 4, 8);
  assert.throws(() => ones(3, 8).attention(ones(3, 8), ones(3, 8)), ShapeError);
  assert.throws(() => q.attention(ones(1, 3, 3, 8), ones(1, 3, 3, 8)), /\(4 vs 3\)/);
  assert.throws(() => q.attention(ones(1, 3, 0, 8), ones(1, 3, 0, 8)), /\(4 vs 0\)/);
  assert.throws(() => q.attention(ones(1, 3, 4, 6), ones(1, 3, 4, 6)), /\(8 vs 6\)/);
  assert.throws(() => q.attention(ones(2, 3, 4, 8), ones(2, 3, 4, 8)), /\(1 vs 2\)/);
  assert.throws(() => q.attention(q, ones(1, 2, 4, 8)), ShapeError);
  assert.throws(() => q.attention(q.to("bf16"), q), DTypeError);
  assert.throws(() => q.attention(q, q, { window: -2 }), RangeError);
  assert.throws(() => packedSequences([1, 2.5]), RangeError);
  assert.throws(() => packedSequences([1, 2], { keyStarts: [0] }), RangeError);
});
