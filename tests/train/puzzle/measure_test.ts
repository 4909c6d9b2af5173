import assert from "node:assert/strict";
import { kvBytesPerToken } from "../../../engine/mod.ts";
import { Decoder, summarize } from "../../../nn/mod.ts";
import { compareDecoders, Comparison } from "../../../train/compare.ts";
import { buildLibrary } from "../../../train/puzzle/build_library.ts";
import {
  greedyArchitecture,
  parameterMaximisingArchitecture,
  randomArchitectures,
  removalArchitecture,
} from "../../../train/puzzle/baselines.ts";
import { rankCorrelation } from "../../../train/puzzle/choose.ts";
import {
  parseConstraint,
  resolveConstraints,
  rowsOf,
  violation,
} from "../../../train/puzzle/constraints.ts";
import {
  blockCost,
  hardwareOf,
  measureCosts,
  readCosts,
  writeCosts,
} from "../../../train/puzzle/costs.ts";
import { enginePath } from "../../../train/puzzle/engine_path.ts";
import { BlockLibrary } from "../../../train/puzzle/library.ts";
import type { DecodePath } from "../../../train/puzzle/measure.ts";
import { openSolver } from "../../../train/puzzle/mip.ts";
import { paretoSweep } from "../../../train/puzzle/pareto.ts";
import { choicesAt, realise, searchSpace } from "../../../train/puzzle/realise.ts";
import { scoreLayer } from "../../../train/puzzle/scores.ts";
import { parentArchitecture, totalCost, totalScore } from "../../../train/puzzle/space.ts";
import { blockVariants, choicesOf } from "../../../train/puzzle/variants.ts";
import { RandomKey } from "../../../tensor/mod.ts";
import { constantSchedule } from "../../../train/schedule.ts";
import { withFolder } from "../../nn/specs.ts";
import { parentSpec, quietRun, strongDecoder, textBatch, textBatches } from "./support.ts";

const scenario = { promptTokens: 4, newTokens: 8, batchSizes: [1, 2] };
const variants = blockVariants(parentSpec, { widths: [0.5] });

/** Does not run anything. */
const idlePath: DecodePath = {
  name: "idle",
  open: () => ({ prefill() {}, settle() {}, decode() {}, [Symbol.dispose]() {} }),
};

for (const train of ["parts", "blocks"] as const) {
  Deno.test(`scores are those of whole models with one block replaced: ${train}`, async () => {
    await withFolder(async (folder) => {
      using parent = strongDecoder(parentSpec);
      const library = BlockLibrary.open(folder, parentSpec, { variants: { widths: [0.5] }, train });
      const heldOut = [textBatch(70), textBatch(71, [5, 30])];
      await buildLibrary(library, {
        parent,
        batches: textBatches,
        heldOut,
        train: { steps: 3, lr: constantSchedule({ peak: 1e-3 }) },
      }, quietRun());
      const model = { spec: parentSpec, entries: parent.state() };
      const own = compareDecoders(parent, parent, heldOut);
      const scores = scoreLayer(parent, library, 1, heldOut);
      using comparison = new Comparison(parent, heldOut);
      choicesOf(library.variants[1]).forEach((choice, j) => {
        const choices = choicesAt(library.variants, [0, j, 0]);
        const { spec, entries } = realise(model, library, choices);
        using child = new Decoder(spec, { from: entries, train: false });
        const whole = compareDecoders(parent, child, heldOut);
        assert.deepEqual(comparison.to(child), whole);
        assert.ok(Math.abs(whole.kl - scores[j].kl) < 1e-6, `${choice.attention} ${choice.ffn}`);
        assert.ok(Math.abs(whole.loss - own.loss - scores[j].loss) < 1e-5);
        assert.ok(Math.abs(whole.cosine - scores[j].cosine) < 1e-6);
      });
      assert.deepEqual(scores[0], { kl: 0, loss: 0, cosine: 0 });
    });
  });
}

Deno.test("sizes of an architecture add up to those of its decoder", async () => {
  const table = await measureCosts(parentSpec, variants, scenario, { path: idlePath, rounds: 1 });
  const scores = variants.map((own) => choicesOf(own).map(() => ({ kl: 0, loss: 0, cosine: 0 })));
  const space = searchSpace(variants, scores, table, "kl");
  for (let i = 0; i < 8; i++) {
    const architecture = space.layers.map(({ length }, layer) => (5 * i + 3 * layer) % length);
    const cost = totalCost(space, architecture);
    const blocks = choicesAt(variants, architecture).map((choice, layer) => ({
      attention: variants[layer].attention.find(({ name }) => name === choice.attention)!.part,
      ffn: variants[layer].ffn.find(({ name }) => name === choice.ffn)!.part,
    }));
    const spec = { ...parentSpec, blocks };
    assert.equal(cost.parameters, summarize(spec).parameters.total);
    assert.equal(cost.weightBytes, 4 * cost.parameters);
    assert.equal(cost.kvBytesPerToken, kvBytesPerToken(spec, "f32"));
  }
});

Deno.test("the engine's times are taken of every part, and none is negative", async () => {
  const table = await measureCosts(parentSpec, variants, scenario, {
    path: enginePath,
    rounds: 1,
    copies: 3,
  });
  assert.ok(table.base.times.get(2)!.decode > 0);
  for (const block of parentSpec.blocks) {
    const { times } = blockCost(table, block);
    for (const batch of scenario.batchSizes) {
      assert.ok(times.get(batch)!.prefill >= 0 && times.get(batch)!.decode >= 0);
    }
  }
});

Deno.test("costs of other hardware or another use are measured again, and it is said why", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/costs.json`, how = { path: idlePath, rounds: 1 };
    const table = await measureCosts(parentSpec, variants, scenario, how), told: string[] = [];
    const read = (hardware = hardwareOf(how), use = scenario) =>
      readCosts(path, hardware, use, (text) => told.push(text));
    assert.equal(read(), null);
    writeCosts(path, table);
    assert.deepEqual(read(), table);
    assert.equal(told.length, 0);
    assert.equal(read({ ...hardwareOf(how), cpu: "another" }), null);
    assert.equal(read(hardwareOf(how), { ...scenario, newTokens: 9 }), null);
    assert.match(told[0], /other hardware.*another/);
    assert.match(told[1], /other use/);
  });
});

Deno.test("every baseline keeps the limits, and the search loses least", async () => {
  const table = await measureCosts(parentSpec, variants, scenario, { path: idlePath, rounds: 1 });
  const key = new RandomKey(1);
  const scores = variants.map((own, layer) =>
    choicesOf(own).map((_, j) => ({
      kl: j === 0 ? 0 : key.derive(layer).uniform(j),
      loss: 0,
      cosine: 0,
    }))
  );
  const space = searchSpace(variants, scores, table, "kl"), solver = await openSolver();
  const constraints = ["parameters=0.6x", "memory=0.65x"].map(parseConstraint);
  const rows = rowsOf(space, resolveConstraints(space, constraints), 2), problem = { space, rows };
  const best = solver({ scores: scores.map((own) => own.map(({ kl }) => kl)), rows })!;
  const random = randomArchitectures(problem, 20, new RandomKey(2));
  const others = [
    greedyArchitecture(problem)!,
    parameterMaximisingArchitecture(problem, solver)!,
    removalArchitecture(problem, solver)!,
    ...random,
  ];
  assert.equal(random.length, 20);
  for (const architecture of others) {
    assert.ok(rows.every((row) => violation(row, architecture) === 0));
    assert.ok(totalScore(space, best) <= totalScore(space, architecture) + 1e-12);
  }
  const most = totalCost(space, others[1]).parameters;
  assert.ok(others.every((architecture) => totalCost(space, architecture).parameters <= most));

  const sweep = await paretoSweep(space, { quantity: "parameters", to: 0.3, steps: 8, solver });
  assert.deepEqual(sweep[0].architecture, parentArchitecture(space));
  sweep.slice(1).forEach(({ score, quantities }, i) => {
    assert.ok(score > sweep[i].score && quantities.parameters < sweep[i].quantities.parameters);
  });
});

Deno.test("rank correlation is Spearman's", () => {
  assert.equal(rankCorrelation([1, 2, 3], [10, 20, 90]), 1);
  assert.equal(rankCorrelation([1, 2, 3], [3, 2, 1]), -1);
  // scipy.stats.spearmanr([1, 2, 2, 4, 5], [3, 1, 4, 4, 6])
  assert.ok(
    Math.abs(rankCorrelation([1, 2, 2, 4, 5], [3, 1, 4, 4, 6]) - 0.7631578947368421) < 1e-12,
  );
});
