import assert from "node:assert/strict";
import { DTypeError, dtypes, ShapeError, Tensor } from "../../tensor/mod.ts";
import { tensorTest } from "../support.ts";

tensorTest("concat joins any number of tensors of any type", () => {
  for (const dtype of dtypes) {
    const parts = Array.from({ length: 70 }, (_, i) => Tensor.full([2, 1], i, { dtype }));
    const joined = Tensor.concat(parts, 1);
    assert.deepEqual(joined.shape, [2, 70]);
    assert.equal(joined.dtype, dtype);
    const expected = parts.map((part) => part.data()[0]);
    assert.deepEqual([...joined.data()], [...expected, ...expected]);
  }
});

tensorTest("concat says which input does not fit", () => {
  const x = Tensor.zeros([2, 3]);
  assert.throws(() => Tensor.concat([]), ShapeError);
  assert.throws(() => Tensor.concat([x, Tensor.zeros([3, 3])], 1), /input 1 .*\(2 vs 3\)/);
  assert.throws(() => Tensor.concat([x, Tensor.zeros([2])], 1), ShapeError);
  assert.throws(() => Tensor.concat([x, Tensor.zeros([2, 3], { dtype: "bf16" })]), DTypeError);
});

tensorTest("split and chunk are views, and gradients flow back through them", () => {
  const x = Tensor.arange(5).requireGrad();
  const [a, b] = x.split([2, 3]);
  assert.equal(a.storage, x.storage);
  a.sum().mul(2).add(b.sum().mul(3)).backward();
  assert.deepEqual([...x.grad!.data()], [2, 2, 3, 3, 3]);
  assert.deepEqual(Tensor.zeros([7, 2]).chunk(3).map((part) => part.shape[0]), [3, 3, 1]);
  assert.deepEqual(Tensor.zeros([2, 4]).chunk(8, -1).map((part) => part.shape[1]), [1, 1, 1, 1]);
  assert.deepEqual(Tensor.zeros([0]).chunk(2).map((part) => part.shape[0]), [0]);
});

tensorTest("split says when the sizes do not add up", () => {
  assert.throws(() => Tensor.zeros([5]).split([2, 2]), /\(4 vs 5\)/);
  assert.throws(() => Tensor.zeros([5]).chunk(0), ShapeError);
});

tensorTest("stack makes a new axis anywhere", () => {
  const rows = [Tensor.from([1, 2]), Tensor.from([3, 4])];
  assert.deepEqual([...Tensor.stack(rows).data()], [1, 2, 3, 4]);
  assert.deepEqual([...Tensor.stack(rows, -1).data()], [1, 3, 2, 4]);
});
