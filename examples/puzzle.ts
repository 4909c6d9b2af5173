/** Architecture search: a library of replacements, what each loses and costs, and the best combination within a limit. */
import { openCheckpoint, summarize } from "@denotron/denotron";
import { constantSchedule, parseConstraint, runPuzzle } from "@denotron/denotron/train";
import assert from "node:assert/strict";
import { join } from "node:path";
import { batchesOf, modelThatKnows, printingRun, sentence } from "./support.ts";

const folder = Deno.makeTempDirSync({ prefix: "denotron-example-" });
using parent = await modelThatKnows(3);
const heldOut = (await batchesOf(sentence).next(1))!;
const steps = (count: number) => ({ steps: count, lr: constantSchedule({ peak: 3e-3 }) });

const report = await runPuzzle({
  parent: { spec: parent.spec, entries: parent.state() },
  batches: () => batchesOf(sentence),
  ...{ calibration: heldOut, heldOut, rounds: 1 },
  library: { variants: { widths: [0.5, 0.25], linear: false } },
  bypass: steps(20), // every replacement learns to do what the parent's part does
  scenario: { promptTokens: 8, newTokens: 16, batchSizes: [4] },
  search: { constraints: [parseConstraint("parameters=0.75x")], draws: 4 },
  fusion: { keepLast: false, withFirst: true },
  distill: { train: steps(30) }, // then the whole child learns what the parent predicts
  pretrain: null,
}, {
  ...{ folder, signal: new AbortController().signal },
  tell: (line) => console.log(line),
  sink: (stage) => ({ ...printingRun(20), folder: join(folder, stage) }),
});
for (const { name, parameters, loss, kl } of report!.models) {
  console.log(`${name}: ${parameters} parameters, loss ${loss.toFixed(3)}, KL ${kl.toFixed(3)}`);
}
using child = openCheckpoint(join(folder, report!.models.at(-1)!.name));
const size = summarize(child.spec).parameters.total,
  whole = summarize(parent.spec).parameters.total;
console.log(`${report!.choices.join(" | ")}: ${(size / whole).toFixed(2)} of the parent`);
assert.ok(size <= 0.75 * whole);
Deno.removeSync(folder, { recursive: true });
