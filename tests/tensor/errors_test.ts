import assert from "node:assert/strict";
import fc from "fast-check";
import {
  call,
  device,
  type DType,
  isFloating,
  RandomKey,
  scope,
  Tensor,
  TensorError,
  type Unary,
} from "../../tensor/mod.ts";
import { tensorTest } from "../support.ts";

// This is where messages are reviewed: what is wrong, as given, both numbers, and what to do.

const zeros = (shape: number[], dtype: DType = "f32"): Tensor => Tensor.zeros(shape, { dtype });

/** Fail unless each call throws `name` with exactly that message. */
function expectErrors(name: string, cases: [() => unknown, string][]): void {
  for (const [use, message] of cases) assert.throws(use, { name, message });
}

tensorTest("ShapeError: shapes that do not fit the op", () => {
  const x = zeros([32, 768]), w = zeros([512, 768]);
  expectErrors("ShapeError", [
    [
      () => x.matmul(zeros([512, 64])),
      "matmul: inner sizes differ, [32, 768] @ [512, 64] (768 vs 512). Transpose or reshape one.",
    ],
    [
      () => x.matmul(w),
      "matmul: inner sizes differ, [32, 768] @ [512, 768] (768 vs 512). Did you mean x.matmul(w.t())?",
    ],
    [
      () => x.matmul(zeros([768])),
      "matmul: matrices are needed, [32, 768] @ [768]. Add axes with unsqueeze().",
    ],
    [
      () => x.linear(w.t()),
      "linear: the input's last size is not the weight's, [32, 768] and weight [768, 512] (768 vs 512). " +
      "The weight is [out, in].",
    ],
    [
      () => x.add(w),
      "add: shapes do not broadcast, [32, 768] and [512, 768] (32 vs 512). " +
      "Aligned at the end, sizes must be equal or 1.",
    ],
    [
      () => x.reshape([32, 767]),
      "reshape: [32, 768] does not fit [32, 767] (24576 vs 24544 elements). " +
      "Keep the number of elements; one size may be -1.",
    ],
    [() => x.sum(2), "sum: no axis 2 in a tensor of rank 2. Use -2 to 1."],
    [
      () => x.squeeze(0),
      "squeeze: axis 0 of [32, 768] does not have size 1 (32). Use select().",
    ],
    [() => x.item(), "item: [32, 768] has not one element (24576). Use data()."],
  ]);
});

tensorTest("DTypeError: element types that do not fit the op, or each other", () => {
  const x = zeros([2, 2]), ids = zeros([2, 2], "i32");
  expectErrors("DTypeError", [
    [() => x.add(ids), 'add: f32 and i32 do not mix. Cast one: b.to("f32").'],
    [() => x.matmul(x.to("bf16")), 'matmul: f32 and bf16 do not mix. Cast one: b.to("f32").'],
    [() => ids.exp(), 'exp: i32 elements have no such function. Cast first: x.to("f32").'],
    [() => ids.sum(), 'sum: i32 elements are not summed. Cast first: x.to("f32").'],
    [() => ids.matmul(ids), 'matmul: i32 matrices have no product. Cast first: x.to("f32").'],
    [() => ids.mul(0.5), 'mul: 0.5 is no i32 number. Cast the tensor: x.to("f32").'],
    [() => ids.requireGrad(), "requireGrad: i32 has no gradients, [2, 2]. Use f32 or bf16."],
  ]);
});

tensorTest("IndexError: an index outside its axis", () => {
  const x = zeros([2, 3]);
  expectErrors("IndexError", [
    [() => x.select(1, 3), "select: no element 3 along axis 1 of [2, 3] (3). Use -3 to 2."],
    [() => x.select(-1, -4), "select: no element -4 along axis 1 of [2, 3] (3). Use -3 to 2."],
    [() => x.select(0, 0.5), "select: no element 0.5 along axis 0 of [2, 3] (2). Use -2 to 1."],
    [() => zeros([0]).select(0, 0), "select: no element 0 along axis 0 of [0] (0). It has none."],
  ]);
});

tensorTest("DisposedError: a tensor used after it was disposed", () => {
  const x = zeros([4, 4]), y = zeros([4, 4]);
  y[Symbol.dispose]();
  expectErrors("DisposedError", [
    [
      () => x.mul(y),
      "mul: input 1 [4, 4] was disposed. Return it from scope() or keep() it.",
    ],
    [() => y.data(), "data: [4, 4] was disposed. Return it from scope() or keep() it."],
  ]);
});

tensorTest("GradError: a gradient that cannot be computed", () => {
  const round: Unary = {
    name: "round",
    outputs: ([{ shape, dtype }]) => [{ shape, dtype }],
    reference: ([x], [y]) => y.data.set(x.data.map(Math.round)),
    samples: [],
  };
  const x = Tensor.ones([2]).requireGrad();
  expectErrors("GradError", [
    [
      () => call(round, [x], undefined),
      "round has no gradient. Wrap the call in noGrad() or detach() its inputs.",
    ],
    [
      () => zeros([]).backward(),
      "backward: [] was computed from no tensor that requires a gradient. Call requireGrad() on one.",
    ],
    [
      () => x.mul(2).backward(),
      "backward: [2] is not one number (2). Reduce it, or pass the gradient to start from.",
    ],
    [
      () => x.mul(2).requireGrad(),
      "requireGrad: [2] was computed by mul, only leaves can change. Use detach().",
    ],
  ]);
});

tensorTest("NonFiniteError: a loss that is not a number, and no gradient is touched", () => {
  const weight = Tensor.from([1]).requireGrad();
  weight.grad = Tensor.from([3]);
  const advice = "Skip this batch, or lower the learning rate; allFinite() finds where it began.";
  expectErrors("NonFiniteError", [
    [() => weight.mul(NaN).sum().backward(), `backward: the loss is NaN. ${advice}`],
    [() => weight.div(0).sum().backward(), `backward: the loss is Infinity. ${advice}`],
  ]);
  assert.deepEqual([...weight.grad.data()], [3]);
});

tensorTest("DeviceError: a device that is missing", () => {
  expectErrors("DeviceError", [
    [() => device("tpu" as "cpu"), 'device: there is no device "tpu". Use "cpu" or "cuda".'],
  ]);
});

tensorTest("OutOfMemoryError: an allocation beyond the limit", () => {
  const cpu = device(), { limit, reserved, inUse } = cpu.memory;
  try {
    cpu.memoryLimit = reserved;
    const bytes = reserved + 4096;
    expectErrors("OutOfMemoryError", [[
      () => Tensor.empty([bytes], { dtype: "u8" }),
      `memory: no room for ${bytes} more bytes, ${inUse} in use, ${cpu.memory.reserved} reserved ` +
      `(limit ${reserved}). Dispose tensors, wrap the step in scope(), use smaller batches, or raise the limit.`,
    ]]);
  } finally {
    cpu.memoryLimit = limit;
  }
  expectErrors("RangeError", [
    [() => cpu.memoryLimit = -1, "memoryLimit: a number of bytes is needed (-1)."],
    [() => cpu.memoryLimit = NaN, "memoryLimit: a number of bytes is needed (NaN)."],
    [() => cpu.threads = 0, "threads: a whole number from 1 to 256 is needed (0)."],
    [() => cpu.threads = 1e9, "threads: a whole number from 1 to 256 is needed (1000000000)."],
  ]);
});

tensorTest("an op that runs out of memory half-way gives back what it had", () => {
  const cpu = device(), { limit } = cpu.memory;
  const before = cpu.memory.blocks;
  try {
    cpu.memoryLimit = 2 ** 30;
    for (const dtype of ["f32", "f64"] as const) { // by kernel, and by reference
      using row = zeros([1, 2 ** 20], dtype);
      using x = row.expand([2 ** 10, 2 ** 20]); // 4 or 8 GiB when made contiguous
      for (const use of [() => x.sum(0), () => x.exp(), () => x.add(x), () => x.reshape([-1])]) {
        assert.throws(use, { name: "OutOfMemoryError" });
        assert.equal(cpu.memory.blocks, before + 1);
      }
    }
  } finally {
    cpu.memoryLimit = limit;
  }
});

tensorTest("empty tensors with astronomic other axes take no time", () => {
  const huge = Tensor.empty([2 ** 40, 0]), row = Tensor.empty([1, 0]);
  for (const y of [huge.add(row), huge.exp(), huge.t().mul(2), huge.softmax(-1)]) {
    assert.equal(y.size, 0);
  }
  assert.deepEqual([...huge.sum(0).data()], []);
  huge.clone().fill(1).assign(row);
});

const prototypes = [Tensor.prototype, Object.getPrototypeOf(Tensor.prototype) as object];
const exempt = ["constructor", "attach", "keep", "addGrad"]; // the tape's, and what outlives scopes

/** Every method, found by looking: what is added later is tried as well. */
const methods = prototypes.flatMap((prototype) =>
  Object.entries(Object.getOwnPropertyDescriptors(prototype))
    .filter(([name, { value }]) => typeof value === "function" && !exempt.includes(name))
    .map(([name]) => name)
);
const statics = ["empty", "full", "zeros", "ones", "from", "fromBytes", "uniform", "normal"];

const shapes = fc.constantFrom<number[]>(
  ...[[], [1], [3], [2, 3], [3, 2], [4, 4], [2, 2, 3], [0, 3], [1, 1, 3], [2, 1, 4, 4]],
);
const types = fc.constantFrom<DType>("f32", "f32", "f32", "bf16", "i32", "f64", "u8", "e4m3");
const layouts = fc.constantFrom("row-major", "turned", "expanded", "every other");
const tensors = fc.record({ shape: shapes, dtype: types, layout: layouts, leaf: fc.boolean() });
const whole = fc.oneof(
  fc.integer({ min: -3, max: 4 }),
  fc.constantFrom(0.5, NaN, 2 ** 31, 2 ** 53),
);
const values = fc.oneof(
  { weight: 4, arbitrary: fc.record({ tensor: fc.nat(9) }) },
  { weight: 4, arbitrary: fc.integer({ min: -2, max: 3 }) },
  { weight: 2, arbitrary: fc.array(whole, { maxLength: 4 }) },
  fc.constantFrom(0.5, NaN, Infinity, -Infinity, 1e6, 1e300, -0),
  fc.constantFrom(undefined, null, true, "f32", "bf16", "i32", "nonsense"),
  fc.constantFrom(
    {},
    { causal: true },
    { keep: true },
    { eps: 0 },
    { scale: NaN },
    new RandomKey(1),
  ),
  fc.constant(new Uint8Array(24)),
);
const calls = fc.record({
  method: fc.constantFrom(...methods, ...statics),
  self: fc.nat(9),
  given: fc.array(values, { maxLength: 4 }),
});

type Described = typeof tensors extends fc.Arbitrary<infer T> ? T : never;

function makeTensor({ shape, dtype, layout, leaf }: Described): Tensor {
  const x = Tensor.arange(shape.reduce((a, b) => a * b, 1), { dtype }).reshape(shape);
  const view = layout === "turned" && shape.length >= 2
    ? x.t().contiguous().t()
    : layout === "expanded"
    ? x.unsqueeze(0).expand([2, ...shape])
    : layout === "every other" && shape.length >= 1
    ? x.slice(0, 0, shape[0], 2)
    : x;
  return leaf && isFloating(dtype) ? view.detach().requireGrad() : view;
}

/** What a call returned that is or holds tensors. */
const tensorsIn = (result: unknown): Tensor[] =>
  [result].flat().filter((value) => value instanceof Tensor);

/** Call a method with whatever arguments; only errors that name the mistake may come out of it. */
function tryCall(
  pool: Tensor[],
  { method, self, given }: typeof calls extends fc.Arbitrary<infer T> ? T : never,
): void {
  const pick = (i: number): Tensor => pool[i % pool.length];
  const args = given.map((value) =>
    value && typeof value === "object" && "tensor" in value ? pick(value.tensor) : value
  );
  const receiver = (statics.includes(method) ? Tensor : pick(self)) as unknown as Record<
    string,
    (...args: unknown[]) => unknown
  >;
  try {
    pool.push(...tensorsIn(receiver[method](...args)));
  } catch (error) {
    const known = error instanceof TensorError || error instanceof RangeError ||
      error instanceof TypeError;
    assert.ok(known, `${method}: ${error}`);
  }
}

Deno.test("any method with any arguments works or names the mistake, and leaves nothing behind", () => {
  const cpu = device(), { limit, reserved } = cpu.memory;
  cpu.memoryLimit = reserved + 2 ** 28;
  try {
    const programs = fc.tuple(
      fc.array(tensors, { minLength: 2, maxLength: 4 }),
      fc.array(calls, { minLength: 1, maxLength: 6 }),
    );
    fc.assert(
      fc.property(programs, ([described, calls]) => {
        const before = cpu.memory;
        scope(() => {
          const pool = described.map(makeTensor);
          for (const call of calls) tryCall(pool, call);
          for (const tensor of pool) if (tensor.owned) tensor[Symbol.dispose](); // aliases
        });
        assert.equal(cpu.memory.inUse, before.inUse);
        assert.equal(cpu.memory.blocks, before.blocks);
      }),
      { numRuns: cpu.description.startsWith("reference") ? 1000 : 4000, seed: 1 },
    );
  } finally {
    cpu.memoryLimit = limit;
    cpu.trim();
  }
});
