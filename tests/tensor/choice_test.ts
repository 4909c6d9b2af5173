import assert from "node:assert/strict";
import { DTypeError, ShapeError, Tensor } from "../../tensor/mod.ts";
import { tensorTest } from "../support.ts";

tensorTest("max, min and argmax of nothing say what to do", () => {
  const empty = Tensor.zeros([2, 0]);
  for (const reduce of [() => empty.max(1), () => empty.min(1), () => empty.argmax(1)]) {
    assert.throws(
      reduce,
      (error) => error instanceof ShapeError && /is empty \(0\)/.test(error.message),
    );
  }
  assert.deepEqual(empty.max(0).shape, [0]);
});

tensorTest("max reduces several axes, and keeps them when asked", () => {
  const x = Tensor.arange(24).reshape([2, 3, 4]);
  assert.deepEqual([...x.max([0, 2]).data()], [15, 19, 23]);
  assert.deepEqual(x.min([0, 2], true).shape, [1, 3, 1]);
  assert.equal(x.max().item(), 23);
  assert.deepEqual(x.argmax(-1, true).shape, [2, 3, 1]);
  assert.equal(x.argmax().item(), 23);
});

tensorTest("max, argmax, sort and topK take integers", () => {
  for (const dtype of ["i32", "u8", "i8"] as const) {
    const x = Tensor.from([3, 100, 7, 100], undefined, { dtype });
    assert.equal(x.max().item(), 100);
    assert.equal(x.argmax(0).item(), 1);
    assert.deepEqual([...x.sort()[0].data()], [3, 7, 100, 100]);
    assert.deepEqual([...x.topK(3)[1].data()], [1, 3, 2]);
  }
  const extremes = Tensor.from([-(2 ** 31), 2 ** 31 - 1, 0, -1], undefined, { dtype: "i32" });
  assert.deepEqual([...extremes.sort(0, { descending: true })[1].data()], [1, 2, 3, 0]);
});

tensorTest("sort is stable in long rows, in both directions", () => {
  const n = 5000, x = Tensor.from(Float64Array.from({ length: n }, (_, i) => i % 3));
  for (const descending of [false, true]) {
    const [values, order] = x.sort(0, { descending });
    const expected = Array.from({ length: n }, (_, i) => i)
      .sort((i, j) => (descending ? -1 : 1) * (i % 3 - j % 3));
    assert.deepEqual([...order.data()], expected);
    assert.deepEqual([...values.data()], expected.map((i) => i % 3));
  }
});

tensorTest("topK of equal elements takes the first of them", () => {
  const [values, order] = Tensor.ones([1000]).topK(3);
  assert.deepEqual([...values.data()], [1, 1, 1]);
  assert.deepEqual([...order.data()], [0, 1, 2]);
  assert.throws(() => Tensor.ones([3]).topK(4), /\(3\)\. Use a k from 0 to 3\./);
});

tensorTest("where takes a number for either choice", () => {
  const mask = Tensor.from([1, 0, 2], undefined, { dtype: "u8" }), x = Tensor.from([1, 2, 3]);
  assert.deepEqual([...mask.where(x, -Infinity).data()], [1, -Infinity, 3]);
  assert.deepEqual([...mask.where(0, x).data()], [0, 2, 0]);
  assert.throws(() => x.where(x, 0), DTypeError);
  assert.throws(() => mask.where(x, x.to("bf16")), DTypeError);
  assert.throws(() => mask.where(x, Tensor.zeros([2])), ShapeError);
});

tensorTest("where chooses elements of every size", () => {
  const mask = Tensor.from([1, 0], undefined, { dtype: "u8" });
  for (const dtype of ["u8", "i8", "bf16", "f16", "i32", "f64"] as const) {
    const x = Tensor.full([2], 5, { dtype }), y = Tensor.full([2], 6, { dtype });
    assert.deepEqual([...mask.where(x, y).data()], [5, 6]);
  }
});

tensorTest("allFinite sees one bad element anywhere, in any type", () => {
  for (const dtype of ["f32", "bf16", "f16", "f64"] as const) {
    for (const size of [1, 70001]) {
      const values = new Float64Array(size).fill(1e4);
      assert.ok(Tensor.from(values, [size], { dtype }).allFinite());
      for (const bad of [NaN, Infinity, -Infinity]) {
        assert.ok(!Tensor.from(values.with(size - 1, bad), [size], { dtype }).allFinite());
      }
    }
  }
  assert.ok(Tensor.zeros([0]).allFinite());
  assert.ok(Tensor.zeros([3], { dtype: "i32" }).allFinite());
  assert.ok(Tensor.ones([2]).requireGrad().allFinite());
});

tensorTest("softmax of a masked row is 0 where it was masked", () => {
  for (const dtype of ["f32", "bf16"] as const) {
    const x = Tensor.from([0, -Infinity, 0, -Infinity], undefined, { dtype });
    assert.deepEqual([...x.softmax(0).data()], [0.5, 0, 0.5, 0]);
  }
  assert.throws(() => Tensor.zeros([2], { dtype: "i32" }).softmax(0), DTypeError);
});
