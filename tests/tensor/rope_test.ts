import assert from "node:assert/strict";
import {
  GradError,
  IndexError,
  ropeFrequencies,
  ropeTable,
  ShapeError,
  Tensor,
} from "../../tensor/mod.ts";
import { assertClose, randomTensor, tensorTest } from "../support.ts";

const close = { absolute: 1e-6, relative: 1e-6 };
const table = (positions: number, headDim: number, fraction = 1): Tensor =>
  ropeTable({ theta: 10_000, headDim, fraction, positions });

tensorTest("rope turns each pair by position times frequency", () => {
  const x = Tensor.from([1, 0, 0, 1], [1, 1, 4]); // pairs (1, 0) and (0, 1), interleaved (1, 0) and (0, 1)
  const half = x.rope(table(8, 4), { positions: 5 }).data();
  // half: (x0, x2) = (1, 0) turns by 5, (x1, x3) = (0, 1) by 0.05
  assertClose(half, [Math.cos(5), -Math.sin(0.05), Math.sin(5), Math.cos(0.05)], close, "half");
  const interleaved = x.rope(table(8, 4), { positions: 5, style: "interleaved" }).data();
  assertClose(
    interleaved,
    [Math.cos(5), Math.sin(5), -Math.sin(0.05), Math.cos(0.05)],
    close,
    "interleaved",
  );
});

tensorTest("elements beyond the turned fraction of a head pass through", () => {
  const x = randomTensor([3, 2, 16], 1);
  const turned = x.rope(table(4, 16, 0.5), { positions: 1 });
  assert.deepEqual(turned.slice(2, 8).data(), x.slice(2, 8).data());
  assert.notDeepEqual(turned.slice(2, 0, 8).data(), x.slice(2, 0, 8).data());
});

tensorTest("positions as a tensor are those of an offset, or differ by batch element", () => {
  const x = randomTensor([2, 3, 2, 8], 1), angles = table(10, 8);
  const offset = x.rope(angles, { positions: 4 }).data();
  const one = Tensor.from([4, 5, 6], [3], { dtype: "i32" });
  assert.deepEqual(x.rope(angles, { positions: one }).data(), offset);
  const each = Tensor.from([[4, 5, 6], [0, 1, 2]], [2, 3], { dtype: "i32" });
  const turned = x.rope(angles, { positions: each });
  assert.deepEqual(
    turned.select(0, 0).data(),
    x.select(0, 0).rope(angles, { positions: 4 }).data(),
  );
  assert.deepEqual(turned.select(0, 1).data(), x.select(0, 1).rope(angles).data());
});

tensorTest("the product of a turned query and key depends on their distance only", () => {
  const q = randomTensor([1, 1, 32], 1), k = randomTensor([1, 1, 32], 2), angles = table(100, 32);
  const product = (a: number, b: number): number =>
    q.rope(angles, { positions: a }).mul(k.rope(angles, { positions: b })).sum().item();
  assertClose([product(90, 83)], [product(7, 0)], { absolute: 1e-5, relative: 1e-5 }, "products");
});

tensorTest("slices of a fused projection are turned without a copy", () => {
  const fused = randomTensor([2, 5, 6, 8], 1), angles = table(5, 8);
  const queries = fused.slice(2, 0, 4);
  assert.deepEqual(queries.rope(angles).data(), queries.contiguous().rope(angles).data());
});

tensorTest("positions outside the table are errors", () => {
  const x = randomTensor([3, 1, 4], 1), angles = table(4, 4);
  const wrong = (positions: number | number[], message: RegExp): void =>
    assert.throws(
      () =>
        x.rope(angles, {
          positions: typeof positions === "number"
            ? positions
            : Tensor.from(positions, [3], { dtype: "i32" }),
        }),
      (error) => error instanceof IndexError && message.test(error.message),
    );
  wrong(2, /position 4 is not in the table, \[4, 2, 2\] \(4 vs 4\)/);
  wrong(-1, /position -1/);
  wrong(0.5, /position/);
  wrong([0, 7, 1], /position 7/);
  wrong([0, -2, 1], /position -2/);
});

tensorTest("rope names shapes and types that do not fit", () => {
  const x = Tensor.ones([3, 2, 4]);
  assert.throws(() => Tensor.ones([4]).rope(table(4, 4)), ShapeError);
  assert.throws(() => x.rope(table(4, 6)), /\(6 vs 4\)/);
  const positions = Tensor.zeros([2], { dtype: "i32" });
  assert.throws(() => x.rope(table(4, 4), { positions }), ShapeError);
  assert.throws(() => x.rope(table(4, 4), { positions: Tensor.zeros([3]) }), /Pass i32/);
  assert.throws(() => x.requireGrad().rope(table(4, 4).requireGrad()), GradError);
});

tensorTest(
  "Llama 3 scaling keeps short wavelengths, stretches long ones and blends between",
  () => {
    const base = { theta: 500_000, headDim: 128 };
    const plain = ropeFrequencies(base);
    const scaled = ropeFrequencies({
      ...base,
      scaling: {
        kind: "llama3",
        factor: 8,
        lowFrequency: 1,
        highFrequency: 4,
        originalContext: 8192,
      },
    });
    assert.equal(scaled[0], plain[0]);
    assert.equal(scaled[63], plain[63] / 8);
    const ratios = scaled.map((frequency, i) => plain[i] / frequency);
    assert.ok(ratios.every((ratio, i) => i === 0 || ratio >= ratios[i - 1]));
    assert.ok(ratios.some((ratio) => ratio > 1 && ratio < 8));
  },
);

tensorTest("a table of no sense is refused", () => {
  assert.throws(() => ropeTable({ theta: 0, headDim: 4, positions: 2 }), RangeError);
  assert.throws(() => ropeTable({ theta: 1e4, headDim: 4, positions: 2.5 }), RangeError);
  assert.throws(() => ropeTable({ theta: 1e4, headDim: 4, fraction: 2, positions: 2 }), RangeError);
});
