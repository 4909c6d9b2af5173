import assert from "node:assert/strict";
import { Engine } from "../../../engine/mod.ts";
import { scope, Tensor } from "../../../tensor/mod.ts";
import { frozenReference, grpoStage, type PolicyLossOptions } from "../../../train/mod.ts";
import { uniforms } from "../../support.ts";
import { stageOptions, tinyPolicy } from "./support.ts";

Deno.test("the gradient of the weights is the finite difference of the loss along it, and along a random direction", async () => {
  const variants: PolicyLossOptions[] = [
    { klCost: 0.1 },
    { klCost: 0, ratio: "sequence", normalizer: "sequence" },
    { klCost: 0.2, kl: "k2", ratio: "none", normalizer: "constant", temperature: 0.8 },
  ];
  for (const loss of variants) {
    using policy = tinyPolicy();
    using other = tinyPolicy(7);
    using engine = new Engine(policy);
    const reference = frozenReference(other);
    const stage = grpoStage({ ...stageOptions(policy, engine), reference, loss });
    const [batch] = (await stage.batches.next(1))!, total = stage.weight(batch);
    const { master, gradient } = policy.arena!;
    gradient.fill(0);
    scope(() => stage.loss(batch, total).loss.backward());
    const slope = Float64Array.from(gradient.data()), weights = Float64Array.from(master.data());
    const lossAt = (direction: Float64Array, step: number): number =>
      scope(() => {
        master.assign(Tensor.from(weights.map((w, i) => w + step * direction[i]), master.shape));
        return stage.loss(batch, total).loss.item();
      });
    const next = uniforms(3);
    for (const raw of [slope, slope.map((g) => g + 0.01 * (2 * next() - 1))]) {
      const norm = Math.hypot(...raw), direction = raw.map((x) => x / norm), step = 3e-3;
      const expected = (lossAt(direction, step) - lossAt(direction, -step)) / (2 * step);
      const along = slope.reduce((sum, g, i) => sum + g * direction[i], 0);
      const what = `${JSON.stringify(loss)}: ${along}, expected ${expected}`;
      assert.ok(Math.abs(along - expected) < 0.02 * Math.abs(expected) + 1e-4, what);
    }
  }
});
