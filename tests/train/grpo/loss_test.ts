import assert from "node:assert/strict";
import { Tensor } from "../../../tensor/mod.ts";
import {
  type PolicyBatch,
  policyBatch,
  type PolicyLoss,
  policyLoss,
  policyLossDefaults,
  policyMetrics,
  policyWeight,
  type TrainedCompletion,
} from "../../../train/grpo/mod.ts";
import { assertClose, tensorTest, uniforms } from "../../support.ts";

const golden = JSON.parse(
  Deno.readTextFileSync(new URL("../../golden/trl_grpo.json", import.meta.url)),
);
const normalizers = { dapo: "token", grpo: "sequence", dr_grpo: "constant" } as const;

/** Completions after a prompt of two tokens; log-probabilities are given. */
function completion(
  old: readonly number[],
  reference: readonly number[],
  advantage: number,
  importance: readonly number[] = old.map(() => 1),
): TrainedCompletion {
  return {
    ids: Int32Array.from({ length: 2 + old.length }, (_, i) => i + 1),
    prompt: 2,
    ...{ advantage, trained: true },
    old: Float32Array.from(old),
    reference: Float32Array.from(reference),
    importance: Float32Array.from(importance),
  };
}

/** Values of each completion's tokens at their places in a batch. */
function placed(batch: PolicyBatch, rows: readonly (readonly number[])[]): Float64Array {
  const values = rows.flat(), result = new Float64Array(batch.ids.length);
  let next = 0;
  batch.targets.forEach((target, t) => {
    if (target >= 0) result[t] = values[next++];
  });
  return result;
}

function lossAndGradient(
  now: Float64Array,
  batch: PolicyBatch,
  total: number,
  options: PolicyLoss,
): { loss: number; gradient: Float64Array } {
  const logProbs = Tensor.from(now, [now.length], { dtype: "f64" }).requireGrad();
  const loss = policyLoss(logProbs, batch, total, options);
  loss.backward();
  return { loss: loss.item(), gradient: Float64Array.from(logProbs.grad!.data()) };
}

tensorTest("losses, gradients and figures are those of TRL", () => {
  // Its inputs go through f32 here.
  const tolerance = { absolute: 2e-7, relative: 1e-5 };
  for (const given of golden.losses) {
    const cut = (rows: number[][]) => rows.map((row, i) => row.slice(0, given.lengths[i]));
    const [now, old, reference] = [given.now, given.old, given.reference].map(cut);
    const batch = policyBatch(
      old.map((row, i) => completion(row, reference[i], given.advantages[i])),
    );
    const normalizer = normalizers[given.lossType as keyof typeof normalizers];
    const options = policyLossDefaults({
      ...{ clipLow: given.low, clipHigh: given.high, klCost: given.beta, normalizer },
      ratio: given.level,
    });
    const total = policyWeight(batch, normalizer, given.longest), at = placed(batch, now);
    const { loss, gradient } = lossAndGradient(at, batch, total, options);
    const what = `${given.lossType} ${given.level} ${given.beta}`;
    assertClose([loss], [given.loss], tolerance, what);
    assertClose(gradient, placed(batch, cut(given.gradient)), tolerance, `gradient of ${what}`);
    if (given.level !== "token") continue;
    const entropies = Tensor.from(placed(batch, cut(given.entropies)), [at.length], {
      dtype: "f64",
    });
    const figures = policyMetrics(
      Tensor.from(at, [at.length], { dtype: "f64" }),
      entropies,
      batch,
      options,
    );
    for (const [name, value] of Object.entries(given.metrics)) {
      assertClose([figures[name]], [value as number], tolerance, `${name} of ${what}`);
    }
  }
});

const lengths = [4, 1, 6, 3], next = uniforms(4);
const draw = (scale: number, shift = 0) =>
  lengths.map((length) =>
    Array.from({ length }, () => Math.fround(shift + scale * (2 * next() - 1)))
  );
const now = draw(1, -2);
const near = (scale: number) =>
  now.map((row) => row.map((x) => Math.fround(x + scale * (2 * next() - 1))));
const [old, reference] = [near(0.5), near(0.5)], importance = draw(0.5, 1);
const advantages = [1.5, -0.5, -1, 0.25];
const completions = lengths.map((_, i) =>
  completion(old[i], reference[i], advantages[i], importance[i])
);

/** The loss as it is written down, in float64. */
function written(
  now: readonly (readonly number[])[],
  options: PolicyLoss,
  longest: number,
): number {
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  let loss = 0;
  now.forEach((row, i) => {
    const A = advantages[i];
    const mean = row.reduce((sum, x, t) => sum + x - old[i][t], 0) / row.length;
    row.forEach((x, t) => {
      const ratio = Math.exp(options.ratio === "sequence" ? mean : x - old[i][t]);
      const clipped = Math.min(1 + options.clipHigh, Math.max(1 - options.clipLow, ratio));
      const policy = options.ratio === "none" ? -A * x : Math.max(-A * ratio, -A * clipped);
      const d = reference[i][t] - x;
      const kl = { k1: -d, k2: d * d / 2, k3: Math.exp(d) - d - 1 }[options.kl];
      const share = {
        token: 1 / tokens,
        sequence: 1 / (lengths.length * row.length),
        constant: 1 / (lengths.length * longest),
      }[options.normalizer];
      loss += share * importance[i][t] * (policy + options.klCost * kl);
    });
  });
  return loss;
}

const variants = (["token", "sequence", "none"] as const).flatMap((ratio) =>
  (["token", "sequence", "constant"] as const).flatMap((normalizer) =>
    (["k1", "k2", "k3"] as const).map((kl) =>
      policyLossDefaults({ ratio, normalizer, kl, clipLow: 0.1, clipHigh: 0.15, klCost: 0.3 })
    )
  )
);

tensorTest(
  "every variant of the loss is the formula in float64, and its gradient the finite difference",
  () => {
    const batch = policyBatch(completions), longest = 7, h = 1e-6;
    for (const options of variants) {
      const what = `${options.ratio} ${options.normalizer} ${options.kl}`;
      const total = policyWeight(batch, options.normalizer, longest);
      const { loss, gradient } = lossAndGradient(placed(batch, now), batch, total, options);
      assertClose(
        [loss],
        [written(now, options, longest)],
        { absolute: 1e-12, relative: 1e-12 },
        what,
      );
      const differences = now.map((row, i) =>
        row.map((_, t) => {
          const moved = (by: number) =>
            now.map((other, j) => other.map((x, u) => i === j && t === u ? x + by : x));
          return (written(moved(h), options, longest) - written(moved(-h), options, longest)) /
            (2 * h);
        })
      );
      assertClose(
        gradient,
        placed(batch, differences),
        { absolute: 1e-8, relative: 1e-6 },
        `gradient of ${what}`,
      );
    }
  },
);

tensorTest("micro-batches add up to the loss of the whole step, whatever the normalizer", () => {
  for (const normalizer of ["token", "sequence", "constant"] as const) {
    const options = policyLossDefaults({ normalizer }),
      parts = [completions.slice(0, 1), completions.slice(1)];
    const whole = policyBatch(completions), batches = parts.map(policyBatch);
    const total = policyWeight(whole, normalizer, 9);
    assert.equal(
      total,
      batches.reduce((sum, batch) => sum + policyWeight(batch, normalizer, 9), 0),
    );
    const once = lossAndGradient(placed(whole, now), whole, total, options).loss;
    const rows = [now.slice(0, 1), now.slice(1)];
    const summed = batches.map((batch, i) =>
      lossAndGradient(placed(batch, rows[i]), batch, total, options).loss
    );
    assertClose([summed[0] + summed[1]], [once], { absolute: 1e-12, relative: 1e-12 }, normalizer);
  }
});

tensorTest("a completion that is not trained has no part in loss, gradient and weight", () => {
  const masked = [...completions, { ...completion([-1, -2], [-1, -1], 3), trained: false }];
  const whole = policyBatch(completions), batch = policyBatch(masked);
  for (const normalizer of ["token", "sequence", "constant"] as const) {
    const options = policyLossDefaults({ normalizer, ratio: "sequence" });
    const total = policyWeight(whole, normalizer, 9);
    assert.equal(policyWeight(batch, normalizer, 9), total);
    const first = lossAndGradient(placed(whole, now), whole, total, options);
    const second = lossAndGradient(placed(batch, now), batch, total, options);
    assertClose([second.loss], [first.loss], { absolute: 1e-12, relative: 1e-12 }, normalizer);
    assert.deepEqual([...second.gradient.slice(-3)], [0, 0, 0]);
  }
});
