import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { kvBytesPerToken } from "../../../engine/mod.ts";
import { openCheckpoint } from "../../../nn/mod.ts";
import { device } from "../../../tensor/mod.ts";
import { parseConstraint } from "../../../train/puzzle/constraints.ts";
import { type PuzzleOptions, runPuzzle } from "../../../train/puzzle/run.ts";
import { constantSchedule } from "../../../train/schedule.ts";
import { withFolder } from "../../nn/specs.ts";
import { parentSpec, quietRun, strongDecoder, textBatch, textBatches } from "./support.ts";

const steps = (count: number) => ({ steps: count, lr: constantSchedule({ peak: 1e-3 }) });

function optionsFor(parent: ReturnType<typeof strongDecoder>): PuzzleOptions {
  return {
    parent: { spec: parent.spec, entries: parent.state() },
    batches: textBatches,
    calibration: [textBatch(70)],
    heldOut: [textBatch(80)],
    library: { variants: { widths: [0.5] } },
    bypass: steps(4),
    scenario: { promptTokens: 8, newTokens: 16, batchSizes: [2] },
    // The sizes of weights and caches decide here, which are the same on every machine.
    search: {
      constraints: [parseConstraint("memory=0.6x"), parseConstraint("attention=1..2")],
      draws: 3,
      solutions: 3,
    },
    sweep: { quantity: "memory", to: 0.4 },
    fusion: { keepLast: false, withFirst: true },
    distill: { train: steps(4) },
    pretrain: steps(2),
    rounds: 1,
  };
}

Deno.test("a search that is interrupted anywhere goes on, and ends with the same models", async () => {
  await withFolder(async (root) => {
    using parent = strongDecoder(parentSpec);
    const search = async (folder: string, stopAt: number | RegExp) => {
      Deno.mkdirSync(folder, { recursive: true });
      const stop = new AbortController();
      let left = typeof stopAt === "number" ? stopAt : Infinity;
      return await runPuzzle(optionsFor(parent), {
        ...{ folder, signal: stop.signal },
        tell: (line) => stopAt instanceof RegExp && stopAt.test(line) && stop.abort(),
        sink(stage) {
          const run = quietRun(`${folder}/${stage}`), { metrics } = run;
          run.metrics = function (...given) {
            metrics.apply(run, given);
            if (--left === 0) run.interrupted = true;
          };
          return run;
        },
      });
    };
    const before = device().memory.inUse;
    const report = (await search(`${root}/whole`, Infinity))!;
    // In the library, when something else is measured, in distillation, in continued pretraining, and at the end.
    const stops = [3, /scores of block 1/, /costs/, /the search/, 3, 2, /the report/];
    for (const stop of stops) assert.equal(await search(`${root}/parts`, stop), null, `${stop}`);
    const again = (await search(`${root}/parts`, Infinity))!;
    for (const { name, kl, loss, spec } of again.models) {
      const other = report.models.find((model) => model.name === name)!;
      assert.deepEqual({ kl, loss, spec }, { kl: other.kl, loss: other.loss, spec: other.spec });
    }

    assert.equal(device().memory.inUse - before, 0, "bytes leaked");

    const names = report.models.map(({ name }) => name);
    assert.deepEqual(names.filter((name) => name !== "fused"), [
      "parent",
      "child",
      "distilled",
      "pretrained",
    ]);
    const [, child] = report.models;
    assert.equal(child.kvBytesPerToken, kvBytesPerToken(child.spec, "f32"));
    assert.ok(report.predicted.child.memory <= 0.6 * report.predicted.parent.memory);
    assert.equal(report.predicted.child.parameters, child.parameters);
    assert.ok(report.baselines.some(({ name }) => name === "random"));
    const measured = report.candidates.map((candidate) => candidate.measured!);
    assert.ok(measured.length > 1 && measured.every((loss) => loss >= measured[0]));
    assert.deepEqual(report.candidates[0].choices, report.choices);
    for (const name of names.slice(1)) {
      using model = openCheckpoint(`${root}/whole/${name}`);
      assert.deepEqual(model.spec, report.models.find((one) => one.name === name)!.spec);
    }
    const html = Deno.readTextFileSync(`${root}/whole/report.html`);
    assert.ok(html.includes("<svg") && !/https?:\/\/(?!www\.w3\.org)/.test(html));
    for (const file of ["report.json", "pareto.csv", "pareto.svg", "costs.json", "scores.json"]) {
      assert.ok(existsSync(`${root}/whole/${file}`), file);
    }
  });
});
