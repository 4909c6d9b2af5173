import assert from "node:assert/strict";
import { DTypeError, IndexError, scope, ShapeError, Tensor } from "../../tensor/mod.ts";
import { tensorTest } from "../support.ts";

const i32 = { dtype: "i32" } as const;
const indices = (values: number[] | number[][]): Tensor => Tensor.from(values, undefined, i32);

tensorTest("gather names the index that is outside the axis, and what is inside", () => {
  const x = Tensor.zeros([2, 3]);
  for (const bad of [3, -1, 2 ** 31 - 1]) {
    assert.throws(
      () => x.gather(1, indices([[0], [bad]])),
      (error) =>
        error instanceof IndexError && error.message.includes(`index ${bad} at place 1`) &&
        error.message.includes("Use 0 to 2."),
    );
  }
});

tensorTest("scatterAdd and embedding refuse indices outside the axis", () => {
  const x = Tensor.zeros([2, 3]);
  assert.throws(() => x.scatterAdd(0, indices([[0, 2, 1]]), Tensor.ones([1, 3])), IndexError);
  assert.throws(() => indices([0, 2]).embedding(x), {
    name: "IndexError",
    message: /index 2 at place 1 is outside axis 0 of \[2, 3\] \(2\)\. Use 0 to 1\./,
  });
  assert.throws(() => indices([0]).embedding(Tensor.zeros([0, 3])), /The axis is empty/);
});

tensorTest("a bad index is found in indices that are not contiguous", () => {
  const x = Tensor.zeros([2, 2]), turned = indices([[0, 7], [1, 0]]).t();
  assert.throws(() => x.gather(0, turned), /index 7 at place 2/);
});

tensorTest("indices of another type or shape are refused", () => {
  const x = Tensor.zeros([2, 3]);
  assert.throws(() => x.gather(1, Tensor.zeros([2, 1])), DTypeError);
  assert.throws(() => x.gather(1, indices([[0], [0], [0]])), ShapeError);
  assert.throws(() => x.gather(1, indices([0])), ShapeError);
  assert.throws(() => Tensor.zeros([2]).embedding(x), DTypeError);
  assert.throws(() => indices([0]).embedding(Tensor.zeros([2])), ShapeError);
});

tensorTest("scatterAdd of bf16 sums in f32: a thousand small numbers are not lost", () => {
  const zeros = Tensor.zeros([1], { dtype: "bf16" }), ones = Tensor.ones([1024], { dtype: "bf16" });
  const sum = zeros.scatterAdd(0, Tensor.zeros([1024], i32), ones);
  assert.equal(sum.item(), 1024);
});

tensorTest("scatterAdd counts integers", () => {
  const counts = Tensor.zeros([4], i32).scatterAdd(0, indices([3, 1, 3]), Tensor.ones([3], i32));
  assert.deepEqual([...counts.data()], [0, 1, 0, 2]);
});

tensorTest("embedding adds to a gradient that exists, and touches only the rows that occur", () => {
  for (const dtype of ["f32", "bf16"] as const) {
    using table = Tensor.ones([4, 3], { dtype }).requireGrad().keep();
    const backward = (): void => scope(() => indices([2, 0, 2]).embedding(table).sum().backward());
    backward();
    const grad = table.grad!;
    assert.deepEqual([...grad.data()], [1, 1, 1, 0, 0, 0, 2, 2, 2, 0, 0, 0]);
    grad.slice(0, 1, 2).assign(Tensor.full([], 7));
    backward();
    assert.equal(table.grad, grad);
    assert.deepEqual([...grad.data()], [2, 2, 2, 7, 7, 7, 4, 4, 4, 0, 0, 0]);
  }
});

tensorTest("embedding takes ids of any shape", () => {
  const table = Tensor.from([[1, 2], [3, 4]]);
  assert.deepEqual(indices([[1, 0, 1]]).embedding(table).shape, [1, 3, 2]);
  assert.deepEqual([...Tensor.full([], 1, i32).embedding(table).data()], [3, 4]);
});
