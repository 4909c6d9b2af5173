/**
 * AdamW over arenas against PyTorch, and averages of weights against their formula.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Module, ParameterArena } from "../../nn/mod.ts";
import { Tensor } from "../../tensor/mod.ts";
import { AdamW, cosineSchedule, WeightAverage } from "../../train/mod.ts";
import { goldenFolder } from "../nn/golden.ts";
import { assertClose, tensorTest } from "../support.ts";

interface Golden {
  readonly peak: number;
  readonly end: number;
  readonly warmup: number;
  readonly start: Readonly<Record<string, { shape: number[]; data: number[] }>>;
  readonly steps: readonly {
    readonly lr: number;
    readonly gradients: Readonly<Record<string, number[]>>;
    readonly norm: number;
    readonly after: Readonly<Record<string, number[]>>;
  }[];
}

const golden = JSON.parse(Deno.readTextFileSync(goldenFolder("adamw.json"))) as Golden;
const close = { absolute: 1e-6, relative: 1e-5 };

/** The parameters of the golden file, in their order. */
class Parameters extends Module {
  readonly weight = parameter("weight");
  readonly bias = parameter("bias");
  readonly frozen = parameter("frozen");
  readonly last = parameter("last");
}

function parameter(name: string): Tensor {
  const { shape, data } = golden.start[name];
  return Tensor.from(data, shape).requireGrad().keep();
}

function toGradients(model: Module, values: Readonly<Record<string, number[]>>): void {
  for (const [name, leaf] of model.namedParameters()) {
    if (values[name]) leaf.grad!.assign(Tensor.from(values[name], leaf.shape));
  }
}

tensorTest(
  "AdamW with decay groups, clipping, a schedule and a frozen matrix follows PyTorch",
  () => {
    using model = new Parameters();
    ParameterArena.adopt(model);
    model.freeze(/frozen/);
    using optimizer = new AdamW(model, { weightDecay: 0.1, beta2: 0.95 });
    const { peak, end, warmup, steps } = golden;
    const lr = cosineSchedule({ peak, end, warmup, steps: steps.length });
    steps.forEach((expected, i) => {
      optimizer.zeroGrad();
      toGradients(model, expected.gradients);
      const norm = optimizer.gradNorm();
      assertClose([norm, lr(i + 1)], [expected.norm, expected.lr], close, "norm and lr");
      optimizer.update(lr(i + 1), 3);
      const weights = model.weights();
      for (const [name, after] of Object.entries(expected.after)) {
        assertClose(weights.get(name)!.detach().data(), after, close, `${name}, step ${i + 1}`);
      }
    });
    assert.deepEqual([...model.frozen.detach().data()], golden.start.frozen.data);
  },
);

tensorTest("the norm is that of the gradients of all arenas", () => {
  class Both extends Module {
    readonly parts = [new Parameters(), new Parameters()];
  }
  using model = new Both();
  for (const part of model.parts) ParameterArena.adopt(part);
  using optimizer = new AdamW(model);
  model.parts[0].last.grad!.fill(2); // ten of them
  model.parts[1].weight.grad!.fill(3); // twelve
  assertClose([optimizer.gradNorm()], [Math.sqrt(10 * 4 + 12 * 9)], close, "norm");
});

tensorTest("an optimizer that is reset begins as a new one", () => {
  const [used, fresh] = [new Parameters(), new Parameters()];
  for (const model of [used, fresh]) ParameterArena.adopt(model);
  const [old, other] = [new AdamW(used), new AdamW(fresh)];
  toGradients(used, golden.steps[0].gradients);
  old.update(0); // moves the means, not the weights
  old.reset();
  for (const [model, optimizer] of [[used, old], [fresh, other]] as const) {
    optimizer.zeroGrad();
    toGradients(model, golden.steps[1].gradients);
    optimizer.update(0.01);
  }
  assert.deepEqual(used.arenas()[0].master.data(), fresh.arenas()[0].master.data());
  for (const owned of [used, fresh, old, other]) owned[Symbol.dispose]();
});

tensorTest("a model with nothing to train is refused", () => {
  using model = new Parameters();
  ParameterArena.adopt(model);
  model.freeze();
  assert.throws(() => new AdamW(model), {
    name: "TypeError",
    message: "AdamW: the model has nothing to train (1 arenas, all frozen). " +
      "Load it with train: true, unfreeze it, or add adapters.",
  });
});

Deno.test("averages of weights follow their formula, stand in for the weights, and give them back", async () => {
  using model = new Parameters();
  const arena = ParameterArena.adopt(model), decay = 0.7;
  using average = new WeightAverage([arena], decay);
  let expected = [...arena.master.data()];
  for (let step = 1; step <= 5; step++) {
    arena.master.fill(step);
    average.update();
    expected = expected.map((value) => decay * value + (1 - decay) * step);
  }
  await average.during(() => {
    assertClose([...arena.master.data()], expected, close, "average");
    return Promise.resolve();
  });
  assert.ok(arena.master.data().every((value) => value === 5));
  assert.throws(() => new WeightAverage([arena], 1), RangeError);
});
