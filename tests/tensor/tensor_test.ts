import assert from "node:assert/strict";
import { device, type DType, dtypes, type Nested, type Shape, Tensor } from "../../tensor/mod.ts";
import { randomTensor, scattered, tensorTest } from "../support.ts";

const numbers = (x: Tensor): number[] => [...x.data()];

tensorTest("numbers, lists of lists and typed arrays become tensors of their shape", () => {
  const cases: [Nested, Shape, number[]][] = [
    [5, [], [5]],
    [[], [0], []],
    [[1, 2], [2], [1, 2]],
    [[[1, 2], [3, 4], [5, 6]], [3, 2], [1, 2, 3, 4, 5, 6]],
    [[[[1]], [[2]]], [2, 1, 1], [1, 2]],
    [[[], []], [2, 0], []],
    [new Float64Array([0.5, 1]), [2], [0.5, 1]],
    [[new Uint8Array([1, 2]), [3, 4]], [2, 2], [1, 2, 3, 4]],
  ];
  for (const [values, shape, elements] of cases) {
    const x = Tensor.from(values);
    assert.deepEqual([x.shape, numbers(x), x.dtype], [shape, elements, "f32"]);
  }
  assert.deepEqual(Tensor.from([1, 2, 3, 4], [2, 2]).shape, [2, 2]);
  assert.deepEqual(Tensor.from([[1, 2], [3, 4]], [4]).shape, [4]);
});

tensorTest("ragged lists are refused, at whatever depth", () => {
  const refused = (values: unknown, message: string): void =>
    assert.throws(() => Tensor.from(values as Nested), { name: "ShapeError", message });
  const differ = (a: string, b: string): string =>
    `from: lists differ in shape, ${a} and ${b}. Make all of them equal.`;
  refused([[1, 2], [3]], differ("[2]", "[1]"));
  refused([[[1], [2]], [[3], 4]], differ("[1]", "[]"));
  refused([1, [2]], differ("[]", "[1]"));
  refused([[1, [2]], [3, 4]], differ("[]", "[1]"));
  assert.throws(() => Tensor.from([1, 2, 3], [2, 2]), {
    name: "ShapeError",
    message: "from: 3 numbers do not fill [2, 2] (4). Pass as many.",
  });
});

tensorTest("filled tensors have their value, shape and type", () => {
  assert.deepEqual(numbers(Tensor.zeros([2, 2])), [0, 0, 0, 0]);
  assert.deepEqual(numbers(Tensor.ones([2], { dtype: "i32" })), [1, 1]);
  assert.deepEqual(numbers(Tensor.full([2], -Infinity)), [-Infinity, -Infinity]);
  assert.deepEqual(numbers(Tensor.arange(4, { dtype: "u8" })), [0, 1, 2, 3]);
  assert.deepEqual(Tensor.zeros([3, 0]).data(), new Float32Array(0));
  const like = Tensor.ones([2], { dtype: "bf16" }).newZeros([3]);
  assert.deepEqual([like.dtype, numbers(like)], ["bf16", [0, 0, 0]]);
});

tensorTest("shapes that are none are refused", () => {
  for (const shape of [[-1], [1.5], [NaN], [Infinity], [2 ** 53], [2 ** 30, 2 ** 30]]) {
    for (const make of [Tensor.empty, Tensor.zeros, (s: Shape) => Tensor.ones([1]).newZeros(s)]) {
      assert.throws(() => make(shape), { name: "ShapeError" }, `${shape}`);
    }
  }
});

tensorTest("changing the list that a shape was given as does not change the tensor", () => {
  const shape = [2, 3], axes = [1, 0];
  const x = Tensor.zeros(shape),
    y = Tensor.arange(6).reshape(shape),
    z = Tensor.ones([1]).expand(shape);
  const leaf = Tensor.ones(shape).requireGrad(), moved = leaf.permute(axes);
  shape[0] = 1000;
  axes[0] = 0;
  for (const tensor of [x, y, z]) assert.deepEqual(tensor.shape, [2, 3]);
  moved.mul(Tensor.arange(6).reshape([3, 2])).sum().backward();
  assert.deepEqual(numbers(leaf.grad!), [0, 2, 4, 1, 3, 5]);
});

tensorTest("item() gives the only element, whatever the rank", () => {
  assert.equal(Tensor.from([[[7]]]).item(), 7);
  assert.equal(Tensor.from([1, 2, 3]).select(0, 1).item(), 2);
  for (const shape of [[2], [0]]) {
    assert.throws(() => Tensor.zeros(shape).item(), { name: "ShapeError" });
  }
});

tensorTest("data() is a copy", () => {
  const x = Tensor.from([1, 2]);
  x.data()[0] = 9;
  assert.deepEqual(numbers(x), [1, 2]);
});

tensorTest("bytes go out and come back for every type and layout", () => {
  for (const dtype of dtypes) {
    const x = Tensor.arange(12, { dtype }).reshape([3, 4]);
    for (const view of [x, x.t(), x.slice(1, 1, 4, 2), x.select(0, 2)]) {
      const bytes = new Uint8Array(view.data().length * width(dtype));
      view.readBytes(bytes);
      const back = Tensor.fromBytes(bytes, view.shape, { dtype });
      assert.deepEqual(numbers(back), numbers(view), `${dtype} ${view.strides}`);
    }
  }
});

const width = (dtype: DType): number =>
  ({ f64: 8, f32: 4, i32: 4, bf16: 2, f16: 2 } as Partial<
    Record<DType, number>
  >)[dtype] ?? 1;

tensorTest("too few bytes, and too many, are refused both ways", () => {
  const x = Tensor.ones([2, 3]);
  for (const length of [0, 23, 25, 4096]) {
    assert.throws(() => Tensor.fromBytes(new Uint8Array(length), [2, 3]), {
      name: "ShapeError",
      message: `fromBytes: ${length} bytes do not fill [2, 3] f32 (24). Pass as many.`,
    });
    for (const view of [x, x.t()]) {
      assert.throws(() => view.readBytes(new Uint8Array(length)), {
        name: "ShapeError",
        message:
          `readBytes: ${length} bytes are not those of [${view.shape.join(", ")}] f32 (24). ` +
          "Pass as many.",
      });
    }
  }
});

tensorTest("fill and assign write through views, and to nothing else", () => {
  const x = Tensor.zeros([3, 4]);
  x.select(0, 1).fill(1);
  x.slice(1, 1, 4, 2).fill(2);
  x.t().slice(0, 3, 4).assign(Tensor.from([7, 8, 9]));
  assert.deepEqual(numbers(x), [0, 2, 0, 7, 1, 2, 1, 8, 0, 2, 0, 9]);
});

tensorTest("assign broadcasts and casts", () => {
  const x = Tensor.zeros([2, 3], { dtype: "i32" });
  assert.equal(x.assign(Tensor.from([1.9, -2.9, 3])), x);
  assert.deepEqual(numbers(x), [1, -2, 3, 1, -2, 3]);
  x.assign(Tensor.from([[4], [5]], [2, 1], { dtype: "bf16" }));
  assert.deepEqual(numbers(x), [4, 4, 4, 5, 5, 5]);
  assert.throws(() => x.assign(Tensor.ones([2, 2])), {
    name: "ShapeError",
    message: "assign: shapes do not broadcast, [2, 2] and [2, 3] (2 vs 3). " +
      "Aligned at the end, sizes must be equal or 1.",
  });
  assert.throws(() => x.assign(Tensor.ones([4, 2, 3])), {
    name: "ShapeError",
    message: "assign: [4, 2, 3] does not expand to [2, 3]. Only axes of size 1 can repeat.",
  });
});

tensorTest("assign reads all of an overlapping source before it writes", () => {
  const x = Tensor.arange(6);
  x.slice(0, 1, 6).assign(x.slice(0, 0, 5));
  assert.deepEqual(numbers(x), [0, 0, 1, 2, 3, 4]);
  const square = Tensor.arange(9).reshape([3, 3]);
  square.assign(square.t());
  assert.deepEqual(numbers(square), [0, 3, 6, 1, 4, 7, 2, 5, 8]);
});

tensorTest("elements that share memory cannot be written", () => {
  const wide = Tensor.zeros([1, 3]).expand([2, 3]);
  const error = {
    name: "ShapeError",
    message: "copy: elements of [2, 3] share memory, it was expanded. Write to a copy: clone().",
  };
  assert.throws(() => wide.assign(Tensor.ones([2, 3])), error);
  assert.throws(() => wide.fill(1), error);
  assert.deepEqual(numbers(wide.clone().fill(1)), [1, 1, 1, 1, 1, 1]);
});

tensorTest("in-place writes outside a scope leave nothing behind", () => {
  const before = device().memory.blocks, x = Tensor.zeros([3, 4]);
  x.fill(1).assign(x);
  {
    using view = x.t();
    view.fill(2).assign(view);
    assert.equal(view.data().length, 12);
  }
  assert.equal(device().memory.blocks, before + 1);
});

tensorTest("views share memory, copies do not", () => {
  const x = Tensor.arange(6).reshape([2, 3]);
  const views = [x.t(), x.permute([0, 1]), x.slice(1, 0, 2), x.select(0, 0), x.unsqueeze(0)];
  const more = [x.reshape([3, -1]), x.unsqueeze(-1).squeeze(-1), x.expand([2, 2, 3]), x.detach()];
  for (const view of [...views, ...more]) assert.equal(view.storage, x.storage);
  for (const copy of [x.clone(), x.t().contiguous(), x.t().reshape([6]), x.to("bf16")]) {
    assert.notEqual(copy.storage, x.storage);
  }
  assert.equal(x.contiguous(), x);
  assert.equal(x.to("f32"), x);
});

tensorTest("axes count from the back when negative", () => {
  const x = Tensor.arange(24).reshape([2, 3, 4]);
  assert.deepEqual(x.transpose(-1, 0).shape, [4, 3, 2]);
  assert.deepEqual(x.t().shape, [2, 4, 3]);
  assert.deepEqual(x.unsqueeze(-1).shape, [2, 3, 4, 1]);
  assert.deepEqual(x.unsqueeze(1).squeeze(-3).shape, [2, 3, 4]);
  assert.deepEqual(numbers(x.select(-1, -1)), [3, 7, 11, 15, 19, 23]);
  assert.deepEqual(numbers(x.slice(-1, 1, 4, 2).select(0, 0)), [1, 3, 5, 7, 9, 11]);
  assert.deepEqual(numbers(x.sum(-2).select(0, 0)), [12, 15, 18, 21]);
});

tensorTest("sumTo undoes a broadcast", () => {
  const x = Tensor.ones([4, 2, 3]);
  for (const shape of [[4, 2, 3], [2, 3], [1, 3], [2, 1], [4, 1, 1], [1], []]) {
    const y = x.sumTo(shape), repeated = 24 / y.size;
    assert.deepEqual([y.shape, numbers(y)], [shape, Array(y.size).fill(repeated)]);
  }
  assert.throws(() => Tensor.ones([2, 3]).sumTo([3, 2]), { name: "ShapeError" });
  assert.throws(() => Tensor.ones([1, 3]).sumTo([2, 3]), {
    name: "ShapeError",
    message:
      "sumTo: [2, 3] does not broadcast to [1, 3]. Pass a shape with fewer axes, or sizes of 1.",
  });
});

tensorTest("reductions over no axis, some and all keep what is asked", () => {
  const x = Tensor.arange(24).reshape([2, 3, 4]);
  assert.equal(x.sum([]), x);
  assert.equal(x.sum().item(), 276);
  assert.deepEqual(x.sum([0, 2]).shape, [3]);
  assert.deepEqual(numbers(x.sum([2, 0])), [60, 92, 124]);
  assert.deepEqual(x.sum([0, -1], true).shape, [1, 3, 1]);
  assert.deepEqual(numbers(x.mean([1, 2])), [5.5, 17.5]);
  assert.deepEqual(numbers(Tensor.zeros([0, 2]).sum(0)), [0, 0]);
});

tensorTest("comparisons give ones and zeros, and NaN equals nothing", () => {
  const x = Tensor.from([1, 2, NaN]), y = Tensor.from([1, 3, NaN]);
  const table = {
    equal: [1, 0, 0],
    notEqual: [0, 1, 1],
    less: [0, 1, 0],
    lessEqual: [1, 1, 0],
    greater: [0, 0, 0],
    greaterEqual: [1, 0, 0],
  } as const;
  for (const [name, expected] of Object.entries(table)) {
    const flags = x[name as keyof typeof table](y);
    assert.deepEqual([flags.dtype, numbers(flags)], ["u8", expected], name);
  }
  assert.deepEqual(numbers(x.greater(1)), [0, 1, 0]);
});

tensorTest("integers compute exactly, and refuse numbers that are none", () => {
  const x = Tensor.from([2 ** 30 + 1, -7], [2], { dtype: "i32" });
  assert.deepEqual(numbers(x.add(x.mul(-1))), [0, 0]);
  assert.deepEqual(numbers(x.add(3)), [2 ** 30 + 4, -4]);
  for (const number of [0.5, NaN, Infinity, 2 ** 31]) {
    assert.throws(() => x.add(number), {
      name: "DTypeError",
      message: `add: ${number} is no i32 number. Cast the tensor: x.to("f32").`,
    });
  }
});

tensorTest("a method leaves nothing behind but its result", () => {
  const x = randomTensor([2, 3, 4], 1), turned = x.t(), matrix = randomTensor([4, 5], 2);
  const before = device().memory.blocks;
  const results: Record<string, () => Tensor> = {
    sum: () => x.sum(),
    "sum of some axes": () => x.sum([0, 2], true),
    mean: () => x.mean([0, 1]),
    max: () => x.max([0, 2]),
    logSumExp: () => x.logSumExp(),
    argmax: () => x.argmax(),
    "argmax along an axis": () => x.argmax(1, true),
    softmax: () => x.softmax(1),
    sumTo: () => x.sumTo([3, 1]),
    select: () => x.select(1, 2),
    "reshape with a copy": () => turned.reshape([24]),
    "batched matmul": () => x.matmul(turned),
    "matmul of a batch and a matrix": () => x.matmul(matrix),
  };
  for (const [name, make] of Object.entries(results)) {
    make()[Symbol.dispose]();
    assert.equal(device().memory.blocks, before, name);
  }
});

tensorTest("printing shows shape, type and elements, long axes by both ends", () => {
  const shown = (x: Tensor): string => Deno.inspect(x);
  assert.equal(shown(Tensor.full([], 2.5)), "Tensor [] f32\n2.5000");
  assert.equal(shown(Tensor.from([1, -20, 3])), "Tensor [3] f32\n[  1, -20,   3]");
  assert.equal(shown(Tensor.zeros([0, 2])), "Tensor [0, 2] f32\n[]");
  assert.equal(
    shown(Tensor.from([[0.1, 1], [NaN, -Infinity]])),
    "Tensor [2, 2] f32\n[[  0.10000,         1],\n [      NaN, -Infinity]]",
  );
  assert.equal(
    shown(Tensor.arange(40, { dtype: "i32" }).reshape([10, 4]).t()),
    "Tensor [4, 10] i32\n" + [
      "[[ 0,  4,  8, …, 28, 32, 36],",
      " [ 1,  5,  9, …, 29, 33, 37],",
      " [ 2,  6, 10, …, 30, 34, 38],",
      " [ 3,  7, 11, …, 31, 35, 39]]",
    ].join("\n"),
  );
  assert.equal(
    shown(Tensor.arange(8).reshape([2, 2, 2])),
    "Tensor [2, 2, 2] f32\n[[[0, 1],\n  [2, 3]],\n [[4, 5],\n  [6, 7]]]",
  );
  const gone = Tensor.ones([2]);
  gone[Symbol.dispose]();
  assert.equal(`${gone}`, "Tensor [2] f32 (disposed)");
});

tensorTest("after dispose every kind of use says what was disposed", () => {
  const x = Tensor.ones([2, 3]), other = Tensor.ones([2, 3]);
  const op = (name: string, input = 0): string =>
    `${name}: input ${input} [2, 3] was disposed. Return it from scope() or keep() it.`;
  const own = (name: string): string =>
    `${name}: [2, 3] was disposed. Return it from scope() or keep() it.`;
  x[Symbol.dispose]();
  const uses: [() => unknown, string][] = [
    [() => x.data(), own("data")],
    [() => x.readBytes(new Uint8Array(24)), own("readBytes")],
    [() => x.alias(), own("alias")],
    [() => x.keep(), own("keep")],
    [() => x.requireGrad(), own("requireGrad")],
    [() => x.detach(), op("detach")],
    [() => x.backward(), op("backward")],
    [() => x.fill(1), op("fill")],
    [() => x.assign(other), op("assign")],
    [() => other.assign(x), op("assign", 1)],
    [() => x.reshape([6]), op("reshape")],
    [() => x.t(), op("permute")],
    [() => x.slice(0, 1), op("slice")],
    [() => x.expand([4, 2, 3]), op("expand")],
    [() => x.clone(), op("copy")],
    [() => x.to("bf16"), op("copy")],
    [() => x.neg(), op("neg")],
    [() => x.add(1), op("add")],
    [() => other.add(x), op("add", 1)],
    [() => x.matmul(other.t()), op("matmul")],
    [() => other.linear(x), op("linear", 1)],
    [() => x.sum(0), op("sum")],
    [() => x.sum(), op("reshape")],
    [() => x.softmax(0), op("softmax")],
    [() => other.grad = x, op("grad", 1)],
  ];
  for (const [use, message] of uses) assert.throws(use, { name: "DisposedError", message });
});

tensorTest("any layout of the operands gives the same bits", () => {
  const x = randomTensor([7, 5], 1), y = randomTensor([5, 7], 2).t();
  assert.deepEqual(numbers(scattered(x).mul(y)), numbers(x.mul(y.contiguous())));
  assert.deepEqual(numbers(scattered(x).sum(0)), numbers(x.sum(0)));
});

tensorTest("JavaScript operators refuse tensors instead of computing nonsense", () => {
  const x = Tensor.ones([2, 3]).t() as unknown as number;
  const message = "[3, 2] f32 is a tensor where a number is needed. " +
    "Read it with item(), or compute with add(), mul(), ….";
  for (const use of [() => x * 2, () => x + 1, () => x > 0, () => Math.exp(x), () => `${x + x}`]) {
    assert.throws(use, { name: "TypeError", message });
  }
  assert.match(`${x}`, /^Tensor \[3, 2\] f32\n/);
  const y = Tensor.ones([2]);
  assert.throws(() => y.rmsNorm(y, x), { name: "TypeError", message });
});
