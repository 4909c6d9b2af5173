import assert from "node:assert/strict";
import {
  type AnyOp,
  call,
  device,
  GradError,
  noGrad,
  type Op,
  scope,
  Tensor,
  type Unary,
} from "../../tensor/mod.ts";
import * as ops from "../../tensor/ops/mod.ts";
import { tensorTest } from "../support.ts";
import { checkGradient } from "./sweep.ts";

const numbers = (x: Tensor | null): number[] => [...x!.data()];
const leaf = (values: number[]): Tensor => Tensor.from(values).requireGrad();

/** Bytes in use while `body` runs, over those before. */
function growth(body: () => void): number {
  const before = device().memory.inUse;
  body();
  return device().memory.inUse - before;
}

/** x → 2x; its gradient is what `vjp` says. */
function double(vjp: Unary["vjp"]): Unary {
  return {
    name: "double",
    outputs: ([{ shape, dtype }]) => [{ shape, dtype }],
    reference: ([x], [y]) => y.data.set(x.data.map((value) => 2 * value)),
    ...(vjp ? { vjp } : {}),
    saves: { inputs: [0] },
    samples: [{ shapes: [[3]], params: undefined }],
  };
}
const apply = (op: Unary, x: Tensor): Tensor => call(op, [x], undefined)[0];

tensorTest("disposing an intermediate does not cut the tape", () => {
  const x = leaf([1, 2, 3]);
  const middle = x.mul(2), top = middle.mul(middle), loss = top.sum();
  middle[Symbol.dispose]();
  top[Symbol.dispose]();
  loss.backward();
  assert.deepEqual(numbers(x.grad), [8, 16, 24]);
});

tensorTest("a forward pass that nobody goes back through leaves nothing behind", () => {
  const x = leaf([1, 2, 3]);
  assert.equal(
    growth(() => {
      scope(() => void x.exp().mul(x).tanh().sum());
      using y = x.exp();
      using z = y.mul(x);
      y[Symbol.dispose]();
      assert.equal(z.size, 3);
    }),
    0,
  );
});

tensorTest("what the tape saved is freed as soon as no tensor can ask for it", () => {
  const x = Tensor.ones([2048]).requireGrad(), bytes = 8192;
  const y = x.exp(), z = y.exp();
  assert.equal(growth(() => y[Symbol.dispose]()), 0); // the derivative of exp is its output
  assert.equal(growth(() => z[Symbol.dispose]()), -2 * bytes);
});

tensorTest("a product keeps only the factor that a wanted gradient needs", () => {
  const weight = Tensor.ones([64, 64]).requireGrad(), frozen = Tensor.ones([64, 64]);
  const leaf = Tensor.ones([32, 64]).requireGrad(), constant = Tensor.ones([32, 64]);
  const bytes = 8192; // of an input or an output
  /** Inputs that stay in memory behind the output of a call. */
  const kept = (call: (x: Tensor) => Tensor, of: Tensor): number =>
    growth(() => scope(() => call(of.add(1)))) / bytes - 1;
  assert.equal(kept((x) => x.linear(weight), leaf), 1);
  assert.equal(kept((x) => x.linear(weight), constant), 1);
  assert.equal(kept((x) => x.linear(frozen), leaf), 0);
  assert.equal(kept((x) => x.matmul(frozen), leaf), 0);
  assert.equal(kept((x) => x.mul(constant), leaf), 0);
  assert.equal(kept((x) => x.mul(3), leaf), 0);
  assert.equal(kept((x) => x.mul(leaf), constant), 1);
});

tensorTest("a tensor that is used several times gets the sum of its gradients", () => {
  const x = leaf([1, 2]);
  const y = x.mul(3);
  y.add(y).mul(y).add(x).sum().backward(); // 2y² + x
  assert.deepEqual(numbers(x.grad), [4 * 3 * 3 + 1, 4 * 6 * 3 + 1]);
});

tensorTest("gradients add up over backward passes, and clear by null", () => {
  const x = leaf([2]);
  for (let i = 0; i < 3; i++) x.mul(x).backward();
  assert.deepEqual(numbers(x.grad), [12]);
  const { grad } = x;
  x.grad = null;
  assert.ok(grad!.disposed);
  x.mul(5).backward();
  assert.deepEqual(numbers(x.grad), [5]);
});

tensorTest("a chain of 5,000 calls is gone back through, and freed, without recursion", () => {
  const x = leaf([1]);
  const chain = (): Tensor =>
    scope(() => {
      let y = x;
      for (let i = 0; i < 5_000; i++) y = y.exp().mul(0);
      return y;
    });
  chain().backward();
  assert.deepEqual(numbers(x.grad), [0]);
  const unused = chain();
  assert.equal(growth(() => unused[Symbol.dispose]()), -64 * 5_001); // the outputs of exp, and itself
});

tensorTest("a second backward() through the same graph says so", () => {
  const x = leaf([1]), y = x.exp(), loss = y.mul(2);
  loss.backward();
  const message = "backward: the graph through mul was already used by another backward() and " +
    "freed. Add the losses and call backward() once.";
  assert.throws(() => loss.backward(), { name: "GradError", message });
  assert.throws(() => y.mul(3).backward(), /the graph through exp was already used/);
  assert.deepEqual(numbers(x.grad).map((g) => g.toFixed(4)), [(2 * Math.E).toFixed(4)]);
});

tensorTest("noGrad() records nothing, also when its body throws, and nests", () => {
  const x = leaf([1]);
  noGrad(() => {
    assert.ok(!x.mul(2).requiresGrad);
    assert.throws(() =>
      noGrad(() => {
        throw new Error("on purpose");
      })
    );
    assert.ok(!x.mul(2).requiresGrad);
  });
  assert.ok(x.mul(2).requiresGrad);
});

tensorTest("detach() cuts the tape and shares the memory", () => {
  const x = leaf([1, 2]), y = x.detach();
  assert.ok(!y.requiresGrad);
  x.mul(y).sum().backward();
  assert.deepEqual(numbers(x.grad), [1, 2]);
  y.fill(7);
  assert.deepEqual(numbers(x), [7, 7]);
});

tensorTest("requireGrad() refuses integers, computed tensors and disposed ones", () => {
  assert.throws(() => Tensor.zeros([2], { dtype: "i32" }).requireGrad(), {
    name: "DTypeError",
    message: "requireGrad: i32 has no gradients, [2]. Use f32 or bf16.",
  });
  assert.throws(() => leaf([1]).mul(2).requireGrad(false), {
    name: "GradError",
    message: "requireGrad: [1] was computed by mul, only leaves can change. Use detach().",
  });
  const x = leaf([1]);
  assert.ok(!x.requireGrad(false).requiresGrad);
  x[Symbol.dispose]();
  assert.throws(() => x.requireGrad(), { name: "DisposedError" });
});

tensorTest("backward() starts from one number, or from a gradient that fits", () => {
  const x = leaf([1, 2, 3]), y = x.mul(2);
  assert.throws(() => y.backward(), {
    name: "GradError",
    message: "backward: [3] is not one number (3). Reduce it, or pass the gradient to start from.",
  });
  assert.throws(() => y.backward(Tensor.ones([2])), {
    name: "ShapeError",
    message: "backward: the seed is [2], the tensor [3]. Pass the same shape.",
  });
  assert.throws(() => y.backward(Tensor.ones([3], { dtype: "bf16" })), {
    name: "DTypeError",
    message: 'backward: the seed is bf16, the tensor f32. Cast it: seed.to("f32").',
  });
  const seed = Tensor.from([1, 10, 100]);
  y.backward(seed);
  assert.deepEqual(numbers(x.grad), [2, 20, 200]);
  assert.deepEqual(numbers(seed), [1, 10, 100]);
  assert.throws(() => Tensor.ones([]).backward(), {
    name: "GradError",
    message: "backward: [] was computed from no tensor that requires a gradient. " +
      "Call requireGrad() on one.",
  });
});

tensorTest("backward() of a leaf adds the seed to its gradient", () => {
  const x = leaf([1, 2]);
  x.backward(Tensor.from([3, 4]));
  x.backward(Tensor.from([10, 20]));
  assert.deepEqual(numbers(x.grad), [13, 24]);
});

tensorTest(
  "a gradient that shares memory with the seed or another gradient is not written to",
  () => {
    const x = leaf([1, 2]), y = leaf([1, 2]), seed = Tensor.ones([2]);
    const sum = x.add(y);
    sum.add(sum).backward(seed); // every gradient on the way is the seed's memory, or its double
    assert.deepEqual([numbers(seed), numbers(x.grad), numbers(y.grad)], [[1, 1], [2, 2], [2, 2]]);
    x.grad!.fill(9);
    assert.deepEqual(numbers(y.grad), [2, 2]);
  },
);

tensorTest("a broadcast input gets the sum over the places it was repeated to", () => {
  const x = Tensor.ones([2, 3]).requireGrad(), row = leaf([1, 2, 3]);
  const column = Tensor.ones([2, 1]).requireGrad(), number = Tensor.full([], 2).requireGrad();
  x.mul(row).add(column).mul(number).sum().backward();
  assert.deepEqual(numbers(x.grad), [2, 4, 6, 2, 4, 6]);
  assert.deepEqual(numbers(row.grad), [4, 4, 4]);
  assert.deepEqual([column.grad!.shape, numbers(column.grad)], [[2, 1], [6, 6]]);
  assert.deepEqual([number.grad!.shape, numbers(number.grad)], [[], [18]]);
});

tensorTest("gradients of views land where the views looked", () => {
  const x = Tensor.arange(6).reshape([2, 3]).detach().requireGrad();
  const weights = Tensor.from([1, 10]);
  x.t().slice(0, 0, 3, 2).mul(weights).sum().backward(); // columns 0 and 2
  assert.deepEqual(numbers(x.grad), [1, 0, 1, 10, 0, 10]);
  x.grad = null;
  x.select(0, -1).unsqueeze(0).expand([4, 3]).sum().backward();
  assert.deepEqual(numbers(x.grad), [0, 0, 0, 4, 4, 4]);
  x.grad = null;
  x.permute([1, 0]).reshape([6]).mul(Tensor.arange(6)).sum().backward(); // reshape copies
  assert.deepEqual(numbers(x.grad), [0, 2, 4, 1, 3, 5]);
});

tensorTest("a gradient buffer that was set beforehand is added to in place", () => {
  const arena = Tensor.full([10], 1);
  const weight = Tensor.ones([2, 3]).requireGrad(), bias = leaf([0, 0]);
  weight.grad = arena.slice(0, 0, 6).reshape([2, 3]);
  bias.grad = arena.slice(0, 6, 8);
  const x = Tensor.ones([4, 3]);
  for (let pass = 0; pass < 2; pass++) x.linear(weight).add(bias).sum().backward();
  assert.deepEqual(numbers(arena), [9, 9, 9, 9, 9, 9, 9, 9, 1, 1]);
});

tensorTest("a gradient buffer must fit", () => {
  const x = Tensor.ones([2, 3]).requireGrad();
  assert.throws(() => x.grad = Tensor.zeros([3, 2]), {
    name: "GradError",
    message: "grad: [3, 2] f32 cannot hold the gradient of [2, 3]. " +
      "Pass contiguous f32 of that shape.",
  });
  assert.throws(() => x.grad = Tensor.zeros([2, 3], { dtype: "bf16" }), GradError);
  assert.throws(() => x.grad = Tensor.zeros([3, 2]).t(), GradError);
  const gone = Tensor.zeros([2, 3]);
  gone[Symbol.dispose]();
  assert.throws(() => x.grad = gone, { name: "DisposedError" });
  assert.equal(x.grad, null);
});

tensorTest("leaves in bf16 sum their gradients up in f32", () => {
  const x = Tensor.ones([4], { dtype: "bf16" }).requireGrad();
  const weight = Tensor.ones([3, 4], { dtype: "bf16" }).requireGrad();
  for (const seed of [1, 2 ** -10]) { // the sum has more bits than bf16
    x.linear(weight).backward(Tensor.full([3], seed, { dtype: "bf16" }));
  }
  assert.deepEqual([x.grad!.dtype, weight.grad!.dtype], ["f32", "f32"]);
  assert.deepEqual(numbers(x.grad), Array(4).fill(3 * (1 + 2 ** -10)));
  assert.deepEqual(numbers(weight.grad), Array(12).fill(1 + 2 ** -10));
});

tensorTest("a disposed leaf is left out, and its gradient buffer is gone with it", () => {
  const x = leaf([1, 2]), weight = Tensor.ones([3, 2]).requireGrad();
  weight.grad = Tensor.zeros([3, 2]);
  const { grad } = weight, loss = x.linear(weight).sum();
  weight[Symbol.dispose]();
  assert.ok(grad!.disposed);
  loss.backward();
  assert.deepEqual(numbers(x.grad), [3, 3]);
});

tensorTest("a gradient that was disposed is as good as none", () => {
  const x = leaf([1, 2]);
  x.sum().backward();
  x.grad![Symbol.dispose]();
  assert.equal(x.grad, null);
  x.sum().backward();
  assert.deepEqual(numbers(x.grad), [1, 1]);
});

tensorTest("an op without a gradient refuses inputs that require one", () => {
  const before = device().memory.blocks, op = double(undefined), x = leaf([1, 2]);
  assert.throws(() => apply(op, x), {
    name: "GradError",
    message: "double has no gradient. Wrap the call in noGrad() or detach() its inputs.",
  });
  assert.deepEqual(numbers(noGrad(() => apply(op, x))), [2, 4]);
  assert.deepEqual(numbers(apply(op, x.detach())), [2, 4]);
  assert.equal(device().memory.blocks, before + 3); // x and two results
});

tensorTest("comparisons and casts to integers carry no gradient", () => {
  const x = leaf([1.5, -2]);
  assert.ok(!x.greater(0).requiresGrad);
  assert.ok(!x.to("i32").requiresGrad);
  assert.ok(!x.argmax().requiresGrad);
  x.mul(x.greater(0).to("f32")).sum().backward();
  assert.deepEqual(numbers(x.grad), [1, 0]);
});

tensorTest(
  "an error in the middle of backward() leaves no memory and no half-used tape behind",
  () => {
    let fails = true;
    const op = double(([g]) => {
      if (fails) throw new Error("on purpose");
      return [g.mul(2)];
    });
    const x = leaf([1, 2]), y = leaf([3, 4]);
    const grown = growth(() =>
      scope(() => {
        const middle = apply(op, x.exp()).mul(y), loss = middle.sum();
        assert.throws(() => loss.backward(), /on purpose/);
        assert.throws(() => loss.backward(), GradError);
        assert.throws(() => middle.sum().backward(), GradError);
        y.grad = null; // it was reached before the error
      })
    );
    assert.equal(grown, 0);
    fails = false;
    apply(op, x.mul(2)).sum().backward();
    assert.deepEqual(numbers(x.grad), [4, 4]);
  },
);

tensorTest("a rule that returns another element type than the input's is named", () => {
  const op = double(([g]) => [g.to("bf16")]);
  const x = leaf([1, 2]);
  assert.throws(() => apply(op, x.mul(1)).sum().backward(), {
    name: "GradError",
    message: "double: its gradient is bf16, the input [2] f32. " +
      "A gradient rule must return the input's element type.",
  });
});

Deno.test("the sweep's gradient check catches a wrong rule", () => {
  const sampled = <P>(op: Op<P>): AnyOp => op as unknown as AnyOp;
  const check = (op: AnyOp): void => scope(() => op.samples.forEach((s) => checkGradient(op, s)));
  check(sampled(double(([g]) => [g.mul(2)]) as never));
  const wrong: Record<string, AnyOp> = {
    "too large": sampled(double(([g]) => [g.mul(3)]) as never),
    "missing": sampled(double(() => [null]) as never),
    "of the wrong sign": sampled(double(([g]) => [g.mul(-2)]) as never),
    "of swapped inputs": {
      ...ops.div,
      vjp: (g: readonly Tensor[], context: never) =>
        [...ops.div.vjp!(g, context)].reverse() as never,
      samples: ops.div.samples.slice(0, 2),
    } as unknown as AnyOp,
    "transposed": {
      ...ops.matmul,
      vjp: (g: readonly Tensor[], context: never) =>
        ops.matmul.vjp!(g, context).map((x) => x!.t().contiguous()) as never,
      samples: [{ shapes: [[3, 3], [3, 3]], params: {} }],
    } as unknown as AnyOp,
  };
  for (const [how, op] of Object.entries(wrong)) {
    assert.throws(() => check(op), /finite differences say/, `a gradient ${how} was not caught`);
  }
});
