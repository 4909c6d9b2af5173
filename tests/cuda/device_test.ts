import assert from "node:assert/strict";
import { device, IndexError, packedSequences, scope, Tensor } from "../../tensor/mod.ts";
import { assertClose, uniforms } from "../support.ts";
import { cudaTest } from "./support.ts";

/** Reproducible numbers in [-1, 1) on a device. */
function numbers(shape: readonly number[], seed: number, on: "cpu" | "cuda"): Tensor {
  const next = uniforms(seed), size = shape.reduce((a, b) => a * b, 1);
  const values = Float64Array.from({ length: size }, () => 2 * next() - 1);
  return Tensor.from(values, shape, { dtype: "bf16", device: on });
}

cudaTest("tensors move to the device and back, gradients with them", () => {
  scope(() => {
    const x = Tensor.from([1, 2, 3], undefined, { device: "cpu" }).requireGrad();
    const y = x.to("cuda").mul(2);
    assert.equal(y.device, "cuda");
    y.sum().to("cpu").backward();
    assert.deepEqual([...x.grad!.data()], [2, 2, 2]);
    assert.equal(x.grad!.device, "cpu");
  });
});

cudaTest("tensors of two devices do not mix", () => {
  scope(() => {
    const a = Tensor.ones([2], { device: "cpu" }), b = Tensor.ones([2], { device: "cuda" });
    assert.throws(() => a.add(b), /inputs are on cpu and cuda. Move one: b.to\("cpu"\)/);
  });
});

cudaTest("an index outside of its axis is an IndexError when the result is asked for", () => {
  scope(() => {
    const table = Tensor.ones([5, 3], { device: "cuda" });
    const ids = Tensor.from([0, 7], undefined, { dtype: "i32", device: "cuda" });
    assert.throws(
      () => ids.embedding(table).data(),
      (error) =>
        error instanceof IndexError &&
        error.message === "embedding: index 7 at place 1 is outside its axis (5). Use 0 to 4.",
    );
    assert.equal(table.sum().item(), 15); // and the device goes on
  });
});

cudaTest("a sequence outside of the tokens is an IndexError, and nothing is read there", () => {
  scope(() => {
    const x = Tensor.ones([4, 1, 8], { dtype: "bf16", device: "cuda" });
    const sequences = packedSequences([4], { keyStarts: [2], keyLengths: [4] });
    const moved = Object.fromEntries(
      Object.entries(sequences).map(([name, value]) => [name, (value as Tensor).to("cuda")]),
    ) as unknown as typeof sequences;
    assert.throws(() => x.attention(x, x, { sequences: moved }).data(), IndexError);
  });
});

cudaTest("work settles without blocking", async () => {
  const x = Tensor.ones([100], { device: "cuda" }).keep();
  const y = scope(() => x.add(1).keep());
  await device("cuda").synchronize();
  assert.equal(scope(() => y.sum().item()), 200);
  x[Symbol.dispose]();
  y[Symbol.dispose]();
});

// Heads of the tensor cores' widths and others, several tiles of rows and keys, heads that share keys, windows.
const cases = [
  { time: 150, heads: 4, kvHeads: 2, headDim: 64, causal: true, window: 0 },
  { time: 131, heads: 2, kvHeads: 1, headDim: 128, causal: true, window: 0 },
  { time: 140, heads: 2, kvHeads: 2, headDim: 96, causal: false, window: 0 },
  { time: 129, heads: 3, kvHeads: 1, headDim: 36, causal: true, window: 50 },
  { time: 70, heads: 2, kvHeads: 1, headDim: 160, causal: true, window: 0 },
];

for (const { time, heads, kvHeads, headDim, causal, window } of cases) {
  const name = `${heads} heads of ${headDim} sharing ${kvHeads}, ${time} tokens`;
  cudaTest(`attention of ${name} is that of the CPU, and its gradients are`, () => {
    const run = (on: "cpu" | "cuda"): number[][] =>
      scope(() => {
        const [q, k, v] = [heads, kvHeads, kvHeads].map((count, i) =>
          numbers([2, time, count, headDim], i + 1, on).requireGrad()
        );
        const out = q.attention(k, v, { causal, window });
        out.backward(numbers([2, time, heads, headDim], 9, on));
        return [out, q.grad!, k.grad!, v.grad!].map((x) => [...x.data()]);
      });
    const [expected, actual] = [run("cpu"), run("cuda")];
    ["output", "dq", "dk", "dv"].forEach((what, i) =>
      assertClose(actual[i], expected[i], { absolute: 1e-2, relative: 3e-2 }, `${name}: ${what}`)
    );
  });
}

/** Attention of one query each over keys in blocks of 16: the outputs by sequence. */
function decode(dtype: "f32" | "bf16", lengths: readonly number[], width: number): string[] {
  return scope(() => {
    const count = lengths.length, heads = 8, kvHeads = 2, headDim = 128;
    const integers = (values: readonly number[], shape = [values.length]): Tensor =>
      Tensor.from(values, shape, { dtype: "i32", device: "cuda" });
    const [q, k, v] = [count * heads, 64 * 16 * kvHeads, 64 * 16 * kvHeads].map((rows, i) =>
      numbers([rows, headDim], i + 1, "cuda").to(dtype)
    );
    const row = q.slice(0, 0, heads).reshape([1, heads, headDim]); // all ask the same
    const [keys, values] = [k, v].map((x) => x.reshape([64 * 16, kvHeads, headDim]));
    const table = lengths.flatMap(() => Array.from({ length: width }, (_, i) => (5 * i) % 64));
    const sequences = {
      queryOffsets: integers(Array.from({ length: count + 1 }, (_, i) => i)),
      keyStarts: integers(table, [count, width]),
      keyLengths: integers(lengths),
      blockTokens: 16,
    };
    const out = Tensor.concat(lengths.map(() => row)).attention(keys, values, {
      causal: true,
      sequences,
    });
    return lengths.map((_, i) => out.select(0, i).data().join());
  });
}

for (const dtype of ["f32", "bf16"] as const) {
  cudaTest(`a sequence that decodes gets the same bits alone and among others, ${dtype}`, () => {
    const lengths = [700, 3, 257, 256];
    const together = decode(dtype, lengths, 64);
    lengths.forEach((length, i) =>
      assert.equal(
        together[i],
        decode(dtype, [length], Math.ceil(length / 16))[0],
        `${length} keys`,
      )
    );
  });
}
