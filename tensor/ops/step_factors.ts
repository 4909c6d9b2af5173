/**
 * What a step of AdamW needs to know, computed where the gradients are.
 *
 * @module
 */
import { isFloating } from "../dtype.ts";
import { DTypeError, ShapeError } from "../errors.ts";
import { formatShape, sameShape } from "../layout.ts";
import type { Op, Sample, View } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { adamwFactors } from "./adamw.ts";
import { addressOf } from "./address.ts";

/** What the settings hold, in this order. */
export const stepSettings = [
  "lr",
  "largestNorm",
  "largestLoss",
  "beta1",
  "beta2",
  "weightDecay",
] as const;

/** What the outcome of a step holds, in this order; `applied` is 1 or 0. */
export const stepOutcome = ["loss", "gradNorm", "applied", "step"] as const;

/** Losses of micro-batches and norms of arenas, then the settings, and the outcome of the step before. */
type StepInputs = readonly [losses: Tensor, norms: Tensor, settings: Tensor, before: Tensor];

/**
 * losses [n], whose sum is the step's, norms of the gradients [arenas], settings f64 [6] and the outcome of the step
 * before, f64 [4] → the factors of `adamw`, f32 [5], and the outcome. The step is applied, and counted, when loss and norm
 * are finite and the loss is at most `largestLoss`. The gradient is scaled down to `largestNorm`.
 */
export const stepFactors: Op<void, StepInputs> = {
  name: "stepFactors",
  outputs: (inputs) => {
    check(inputs);
    return [
      { shape: [adamwFactors.length], dtype: "f32" },
      { shape: [stepOutcome.length], dtype: "f64" },
    ];
  },
  reference: ([losses, norms, settings, { data: before }], [factors, outcome]) => {
    const [lr, largestNorm, largestLoss, beta1, beta2, weightDecay] = settings.data;
    let loss = 0, squares = 0;
    for (const value of losses.data) loss += value;
    for (const value of norms.data) squares += value * value;
    const norm = Math.sqrt(squares), t = before[3] + 1;
    const applied = Number.isFinite(loss) && Number.isFinite(norm) && loss <= largestLoss;
    factors.data.set([
      1 - lr * weightDecay,
      lr / (1 - beta1 ** t),
      Math.sqrt(1 - beta2 ** t),
      norm > largestNorm ? largestNorm / norm : 1,
      applied ? 1 : 0,
    ]);
    outcome.data.set([loss, norm, applied ? 1 : 0, applied ? t : before[3]]);
  },
  kernel: {
    source: new URL("./step_factors.c", import.meta.url),
    entry: "step_factors",
    cuda: {
      source: new URL("./step_factors.cu", import.meta.url),
      launches: () => [{ blocks: 1, threads: 32 }],
    },
    arguments: (to, inputs, outputs) => {
      for (const x of [...outputs, ...inputs]) to.address(addressOf(x));
      to.integer(inputs[0].shape[0]).integer(inputs[1].shape[0]);
    },
  },
  samples: [
    sampleOf([2.5], [0.5], [0.01, 1, Infinity, 0.9, 0.95, 0.1], 0),
    sampleOf([1, 2, 0.25], [3, 4], [0.01, 1, Infinity, 0.9, 0.999, 0], 41),
    sampleOf([], [], [0.01, Infinity, 0, 0, 0, 0.5], 0),
    sampleOf([3, 2], [1], [0.5, 1, 4.5, 0.9, 0.95, 0.1], 7), // a loss that is too large
    sampleOf([Infinity], [1], [0.5, 1, Infinity, 0.9, 0.95, 0.1], 7),
    sampleOf([1], [NaN, 1], [0.5, 1, Infinity, 0.9, 0.95, 0.1], 7),
  ],
};

function check([losses, norms, settings, before]: readonly View[]): void {
  const fits = losses.shape.length === 1 && norms.shape.length === 1 &&
    sameShape(settings.shape, [stepSettings.length]) &&
    sameShape(before.shape, [stepOutcome.length]);
  const shapes = [losses, norms, settings, before].map(({ shape }) => formatShape(shape));
  if (!fits) {
    throw new ShapeError(
      `stepFactors: losses, norms, settings and outcome do not fit, ${shapes.join(", ")} ` +
        `(${settings.shape.at(-1)} vs ${stepSettings.length} settings). Pass ${
          stepSettings.join(", ")
        }.`,
    );
  }
  const types = [losses, norms, settings, before].map(({ dtype }) => dtype);
  if (!isFloating(types[0]) || types[1] !== types[0] || types[2] !== "f64" || types[3] !== "f64") {
    throw new DTypeError(
      `stepFactors: the inputs are ${types.join(", ")}. Pass f32, f32, f64 and f64.`,
    );
  }
}

function sampleOf(
  losses: readonly number[],
  norms: readonly number[],
  settings: readonly number[],
  step: number,
): Sample<void, StepInputs> {
  const values = [losses, norms, settings, [0, 0, 0, step]];
  const [a, b, c, d] = values.map(({ length }) => [length]);
  return {
    shapes: [a, b, c, d],
    params: undefined,
    dtypes: [null, null, "f64", "f64"],
    draw: (input, _, index) => values[input][index],
  };
}
