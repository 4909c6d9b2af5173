/**
 * Parts of a transformer against PyTorch: `tests/golden/nn_ops.py` wrote the numbers.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type DType, type Nested, ropeFrequencies, ropeTable, Tensor } from "../../tensor/mod.ts";
import { assertClose, tensorTest, type Tolerance } from "../support.ts";
import golden from "../golden/nn_ops.json" with { type: "json" };

/** The tables of rope are f32 in every type. */
const tolerances: readonly (readonly [DType, Tolerance])[] = [
  ["f64", { absolute: 1e-7, relative: 1e-7 }],
  ["f32", { absolute: 2e-6, relative: 2e-6 }],
  ["bf16", { absolute: 2e-2, relative: 2e-2 }],
];

interface Case {
  readonly inputs: readonly Nested[];
  readonly outputs: readonly Nested[];
  readonly seeds: readonly Nested[];
  readonly gradients: readonly Nested[];
}

/** What PyTorch computed, and what `run` computes from the same inputs and gradients of the outputs. */
function check(name: string, golden: Case, run: (...inputs: Tensor[]) => Tensor[]): void {
  const { inputs, outputs, seeds, gradients } = golden;
  for (const [dtype, tolerance] of tolerances) {
    const leaves = inputs.map((x) => Tensor.from(x).to(dtype).requireGrad());
    const results = run(...leaves);
    results.map((y, i) => y.mul(Tensor.from(seeds[i]).to(dtype)).sum())
      .reduce((a, b) => a.add(b)).backward();
    const compare = (actual: Tensor, expected: Nested, what: string): void =>
      assertClose(
        actual.data(),
        Tensor.from(expected).data(),
        tolerance,
        `${name} ${dtype} ${what}`,
      );
    results.forEach((y, i) => compare(y, outputs[i], `output ${i}`));
    leaves.forEach((x, i) => compare(x.grad!, gradients[i], `gradient ${i}`));
  }
}

tensorTest("rmsNorm computes what PyTorch does", () => {
  const { eps } = golden.rmsNorm.options;
  check("rmsNorm", golden.rmsNorm, (x, weight) => [x.rmsNorm(weight, eps)]);
});

tensorTest("addRmsNorm computes what PyTorch does", () => {
  const { eps } = golden.addRmsNorm.options;
  check("addRmsNorm", golden.addRmsNorm, (x, other, weight) => x.addRmsNorm(other, weight, eps));
});

tensorTest("layerNorm computes what PyTorch does", () => {
  assert.equal(golden.layerNorm.length, 2);
  for (const given of golden.layerNorm) {
    const { eps, onePlus } = given.options;
    check("layerNorm", given, (x, weight, bias) => [x.layerNorm(weight, bias, eps, { onePlus })]);
  }
});

tensorTest("swiglu computes what PyTorch does", () => {
  check("swiglu", golden.swiglu, (gate, up) => [gate.swiglu(up)]);
});

tensorTest("rope computes what PyTorch does, in both styles, on whole and partial heads", () => {
  assert.equal(golden.rope.length, 4);
  for (const given of golden.rope) {
    const { fraction, positions } = given.options;
    const style = given.options.style as "half" | "interleaved";
    const table = ropeTable({ theta: 100, headDim: 8, fraction, positions: 10 });
    const at = Tensor.from(positions, [positions.length], { dtype: "i32" });
    check(`rope ${style}`, given, (x) => [x.rope(table, { style, positions: at })]);
  }
});

tensorTest("scaled frequencies are those of transformers", () => {
  const frequencies = ropeFrequencies({
    theta: 500_000,
    headDim: 128,
    scaling: {
      kind: "llama3",
      factor: 8,
      lowFrequency: 1,
      highFrequency: 4,
      originalContext: 8192,
    },
  });
  assertClose(
    frequencies,
    golden.llama3Frequencies,
    { absolute: 0, relative: 2e-6 },
    "frequencies",
  );
});

tensorTest("attention computes what PyTorch does: shared heads, causal, windows, a cache", () => {
  assert.equal(golden.attention.length, 6);
  golden.attention.forEach((given, i) => {
    check(`attention ${i}`, given, (q, k, v) => [q.attention(k, v, given.options)]);
  });
});
