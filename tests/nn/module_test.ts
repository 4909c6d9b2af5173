import assert from "node:assert/strict";
import {
  Attention,
  CheckpointError,
  constant,
  Decoder,
  Dropout,
  GatedFeedForward,
  LayerNorm,
  Linear,
  Module,
  normal,
  parameter,
  ParameterArena,
  RmsNorm,
  Rope,
  setDropoutStep,
  uniform,
} from "../../nn/mod.ts";
import { adamw, device, RandomKey, ShapeError, Tensor } from "../../tensor/mod.ts";
import { assertClose, randomTensor, tensorTest } from "../support.ts";
import { llama, withFolder } from "./specs.ts";

/** A module of a user: parameters and parts in fields, lists and private fields. */
class Classifier extends Module {
  readonly inner: Linear;
  readonly stack: readonly Linear[];
  readonly norm: LayerNorm;
  readonly scale: Tensor;
  readonly alsoInner: Linear;
  readonly none: Linear | null = null;
  readonly note = "no parameter";
  readonly #hidden: Tensor;

  constructor(seed: number, width = 6) {
    super();
    const linear = (out: number, size: number, name: string): Linear =>
      new Linear(parameter([out, size], normal(0.5, seed), name), parameter([out], constant(0)));
    this.inner = linear(width, 3, "inner");
    this.stack = [linear(width, width, "first"), linear(width, width, "second")];
    this.norm = new LayerNorm(parameter([width], constant(1)), parameter([width], constant(0)));
    this.scale = parameter([1], constant(2));
    this.alsoInner = this.inner;
    this.#hidden = Tensor.ones([1]).keep();
  }

  forward(x: Tensor): Tensor {
    const deep = this.stack.reduce((h, layer) => layer.forward(h).relu(), this.inner.forward(x));
    return this.norm.forward(deep).mul(this.scale).mul(this.#hidden);
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#hidden[Symbol.dispose]();
  }
}

const names = [
  "scale",
  "inner.weight",
  "inner.bias",
  "stack.0.weight",
  "stack.0.bias",
  "stack.1.weight",
  "stack.1.bias",
  "norm.weight",
  "norm.bias",
];

tensorTest("parameters are named by the fields that lead to them, shared ones once", () => {
  using module = new Classifier(0);
  assert.deepEqual([...module.namedParameters().keys()].sort(), names.toSorted());
  assert.deepEqual([...module.modules().keys()], ["", "inner", "stack.0", "stack.1", "norm"]);
});

tensorTest("training mode reaches every part", () => {
  using module = new Classifier(0);
  assert.ok(module.norm.training);
  assert.equal(module.eval(), module);
  assert.ok([...module.modules().values()].every((part) => !part.training));
  module.train();
  assert.ok([...module.modules().values()].every((part) => part.training));
});

tensorTest("frozen parameters get no gradient until they are unfrozen", () => {
  using module = new Classifier(0);
  const x = randomTensor([4, 3], 1);
  const touched = (): string[] => {
    module.forward(x).pow(2).sum().backward();
    const found = module.namedParameters().entries().filter(([, leaf]) => leaf.grad !== null)
      .map(([name]) => name);
    return [...found].sort();
  };
  module.freeze().unfreeze(/^stack\.1/);
  assert.deepEqual(touched(), ["stack.1.bias", "stack.1.weight"]);
  module.unfreeze();
  assert.deepEqual(touched(), names.toSorted());
});

tensorTest("state goes from one module to another", () => {
  using a = new Classifier(1), b = new Classifier(2);
  b.load(a.state());
  const x = randomTensor([4, 3], 1);
  assert.deepEqual(b.forward(x).data(), a.forward(x).data());
});

Deno.test("a module comes back from a safetensors file", () =>
  withFolder((folder) => {
    using a = new Classifier(1), b = new Classifier(2);
    a.save(`${folder}/module.safetensors`);
    b.load(`${folder}/module.safetensors`);
    for (const [name, weight] of b.weights()) {
      assert.deepEqual(weight.data(), a.weights().get(name)!.data(), name);
    }
  }));

tensorTest("weights that do not fit are named with both shapes, and nothing is loaded", () => {
  using module = new Classifier(1), other = new Classifier(2, 5);
  const state = new Map(other.state()), before = module.inner.bias!.fill(7).data();
  state.delete("norm.bias");
  state.set("extra", state.get("scale")!);
  assert.throws(
    () => module.load(state),
    new CheckpointError(
      "load: 9 tensors do not fit the module (9 needed, 9 given). Load what belongs to it.\n" +
        "  inner.weight is [5, 3] and must be [6, 3]\n" +
        "  inner.bias is [5] and must be [6]\n" +
        "  stack.0.weight is [5, 5] and must be [6, 6]\n" +
        "  stack.0.bias is [5] and must be [6]\n" +
        "  stack.1.weight is [5, 5] and must be [6, 6]\n" +
        "  stack.1.bias is [5] and must be [6]\n" +
        "  norm.weight is [5] and must be [6]\n" +
        "  missing norm.bias [6]\n" +
        "  surplus extra [1]",
    ),
  );
  assert.deepEqual(module.inner.bias!.data(), before);
});

tensorTest("a load that is not strict takes what both have, but no wrong shapes", () => {
  using module = new Classifier(1), other = new Classifier(2), narrow = new Classifier(2, 5);
  const state = new Map(other.state());
  state.delete("norm.bias");
  state.set("extra", state.get("scale")!);
  module.load(state, { strict: false });
  assert.deepEqual(module.inner.weight.data(), other.inner.weight.data());
  assert.throws(() => module.load(narrow.state(), { strict: false }), CheckpointError);
});

for (const dtype of ["f32", "bf16"] as const) {
  tensorTest(`any module trains in one arena in ${dtype}`, () => {
    using layer = new Linear(
      parameter([2, 3], normal(0.5), "weight", dtype),
      parameter([2], constant(0), "bias", dtype),
    );
    const before = [...layer.weight.data()], arena = ParameterArena.adopt(layer);
    assert.equal(layer.weight, arena.parameters.get("weight"));
    assert.deepEqual([...layer.weight.data()], before);
    assert.deepEqual(arena.trainable(), [{ start: 0, end: 32, decayCount: 16 }]);
    const x = Tensor.ones([1, 3], { dtype });
    const m = Tensor.zeros([32]), v = Tensor.zeros([32]);
    const copy = dtype === "bf16" ? { copy: arena.compute } : {};
    const losses = [1, 2, 3, 4, 5].map((step) => {
      arena.zeroGrad();
      const loss = layer.forward(x).sub(1).pow(2).sum();
      loss.backward();
      adamw({ ...arena, m, v, ...copy }, { lr: 0.1, step });
      return loss.item();
    });
    assert.ok(losses[4] < losses[0] / 2, `${losses}`);
  });
}

tensorTest("an arena of bf16 parameters loads and saves its f32 masters", () => {
  using a = new Decoder(llama, { dtype: "bf16" }),
    b = new Decoder(llama, { dtype: "bf16", seed: 1 });
  b.load(a.state());
  assert.deepEqual(b.arena!.master.data(), a.arena!.master.data());
  assert.deepEqual(b.arena!.compute.data(), a.arena!.compute.data());
  assert.equal(a.state().get("norm.weight")!.dtype, "f32");
});

tensorTest("an optimizer is told to leave frozen parameters of an arena alone", () => {
  using decoder = new Decoder(llama);
  const arena = decoder.arena!, all = arena.trainable();
  assert.deepEqual(all, [{ start: 0, end: arena.master.size, decayCount: arena.decayCount }]);
  decoder.freeze(/^(embedding|blocks\.0)/);
  const ranges = arena.trainable();
  const count = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  const left = decoder.namedParameters().values().filter((leaf) => leaf.requiresGrad)
    .reduce((sum, leaf) => sum + Math.ceil(leaf.size / 16) * 16, 0);
  assert.equal(count, left);
  assert.ok(ranges.every(({ start, end, decayCount }) => decayCount <= end - start));
  decoder.freeze();
  assert.deepEqual(arena.trainable(), []);
});

tensorTest("parameters that an arena cannot hold together are refused", () => {
  class Mixed extends Module {
    readonly wide = parameter([2], constant(0));
    readonly narrow = parameter([2], constant(0), "", "bf16");
  }
  using mixed = new Mixed(), decoder = new Decoder(llama);
  assert.throws(() => ParameterArena.adopt(mixed), {
    message:
      "arena: narrow [2] bf16 does not fit, others are f32. Make all of them f32 or all bf16.",
  });
  assert.throws(() => ParameterArena.adopt(decoder), TypeError);
  assert.throws(
    () => new ParameterArena([{ name: "a", shape: [1] }, { name: "a", shape: [1] }]),
    ShapeError,
  );
});

Deno.test("disposing a module twice gives its memory back once", () => {
  const before = device().memory;
  const models = [
    new Classifier(0),
    new Decoder(llama),
    new Decoder(llama, { dtype: "bf16" }),
    new Decoder(llama, { train: false }),
  ];
  ParameterArena.adopt(models[0]);
  for (const model of [...models, ...models]) model[Symbol.dispose]();
  assert.equal(device().memory.inUse, before.inUse);
  assert.equal(device().memory.blocks, before.blocks);
});

tensorTest("a gradient through a decoder leaves nothing behind, with or without backward", () => {
  for (const checkpointBlocks of [false, true]) {
    using decoder = new Decoder(llama, { checkpointBlocks });
    const ids = Tensor.from([1, 2, 3], [1, 3], { dtype: "i32" });
    decoder.logits(ids).sum().backward();
    decoder.logits(ids);
  }
});

tensorTest("layers without a norm or rotary positions compute without", () => {
  const linear = (out: number, size: number, seed: number): Linear =>
    new Linear(randomTensor([out, size], seed).keep());
  using attention = new Attention(
    { norm: null, q: linear(8, 4, 1), k: linear(4, 4, 2), v: linear(4, 4, 3), o: linear(4, 8, 4) },
    { headDim: 4, rope: null },
  );
  using ffn = new GatedFeedForward({
    norm: null,
    gate: linear(6, 4, 5),
    up: linear(6, 4, 6),
    down: linear(4, 6, 7),
  });
  const x = randomTensor([2, 3, 4], 8);
  // The first token sees itself only, so attention is o·v of it, v shared by both heads.
  const v = attention.v.forward(x.slice(1, 0, 1)).reshape([2, 1, 1, 4]).expand([2, 1, 2, 4]);
  const expected = attention.o.forward(v.reshape([2, 1, 8]));
  const close = { absolute: 1e-6, relative: 1e-6 };
  assertClose(attention.forward(x).slice(1, 0, 1).data(), expected.data(), close, "attention");
  const gated = ffn.gate.forward(x).silu().mul(ffn.up.forward(x));
  assertClose(ffn.forward(x).data(), ffn.down.forward(gated).data(), close, "ffn");
});

tensorTest("a rotary layer keeps what it does not turn, and the first position as it is", () => {
  using rope = new Rope({ theta: 100, headDim: 8, fraction: 0.5, positions: 4 });
  assert.equal(rope.positions, 4);
  const x = randomTensor([4, 2, 8], 1), y = rope.forward(x);
  assert.deepEqual(y.slice(0, 0, 1).data(), x.slice(0, 0, 1).data());
  assert.deepEqual(y.slice(2, 4).data(), x.slice(2, 4).data());
  assert.deepEqual(rope.forward(x.slice(0, 2), 2).data().length, 32);
});

tensorTest("dropout layers of a module draw by their step", () => {
  class Noisy extends Module {
    readonly dropouts = [0, 1].map((i) => new Dropout(0.5, new RandomKey(i)));
    forward(x: Tensor): Tensor {
      return this.dropouts.reduce((h, layer) => layer.forward(h), x);
    }
  }
  using module = new Noisy();
  const x = Tensor.ones([100]), first = module.forward(x).data();
  setDropoutStep(module, 5);
  assert.notDeepEqual(module.forward(x).data(), first);
  setDropoutStep(module, 0);
  assert.deepEqual(module.forward(x).data(), first);
  assert.deepEqual(module.eval().forward(x).data(), x.data());
});

tensorTest("uniform initial weights stay within their bound", () => {
  using norm = new RmsNorm(parameter([1000], uniform(0.25), "w"));
  const data = norm.weight.data() as Float32Array;
  assert.ok(data.every((x) => x >= -0.25 && x < 0.25));
  assert.ok(Math.abs(data.reduce((a, b) => a + b) / 1000) < 0.02);
});
