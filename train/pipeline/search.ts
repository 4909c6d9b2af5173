/**
 * The stage of the recipe that finds a smaller architecture.
 *
 * @module
 */
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type DecoderSpec, openHuggingFace } from "../../nn/mod.ts";
import { trainOptions } from "../jobs/train_options.ts";
import type { BaselineName } from "../puzzle/choose.ts";
import { parseConstraint } from "../puzzle/constraints.ts";
import type { PuzzleReport } from "../puzzle/report_data.ts";
import { type PuzzleHost, type PuzzleOptions, runPuzzle } from "../puzzle/run.ts";
import type { Json } from "../stage.ts";
import type { PipelineStage, StageContext } from "./context.ts";
import { openTexts, type Texts } from "./texts.ts";
import { batchesOf, heldOutBatches } from "./training.ts";

/** Puzzle: replacements of every block learn from the parent, and a mixed-integer program chooses among them. */
export const searchStage: PipelineStage = {
  name: "puzzle",
  title: "searches for a faster child, block by block",
  async run(context) {
    const { recipe: { puzzle }, run, view, signal, place, folder, modelFolder } = context;
    using source = openHuggingFace(context.parentFolder);
    const { spec, entries, config, files } = source;
    using open = new DisposableStack();
    const texts = open.use(await openTexts(context.recipe));
    const host: PuzzleHost = {
      ...{ folder, signal },
      tell: (line) => view.tell(line),
      sink(part) {
        const watcher = open.use(view.training("block library", puzzle.steps));
        return open.use(run.stage(join(place, part), { signal, watchers: [watcher] }));
      },
    };
    const report = await runPuzzle({
      parent: { spec, entries },
      carry: { like: config, files },
      ...await optionsOf(context, spec, texts),
    }, host);
    if (report === null) return null;
    rmSync(modelFolder, { recursive: true, force: true });
    renameSync(join(folder, "child"), modelFolder);
    return { tokens: puzzle.steps * puzzle.batchTokens, metrics: metricsOf(report) };
  },
};

async function optionsOf(
  context: StageContext,
  spec: DecoderSpec,
  texts: Texts,
): Promise<Omit<PuzzleOptions, "parent" | "carry">> {
  const { seed, dtype, puzzle: config } = context.recipe;
  const { variants: { widthMultiple, ...variants }, search: { rounds, ...search } } = config;
  const reader = { spec, tokenizer: await context.tokenizer(), config, seed };
  return {
    dtype,
    batches: () => batchesOf(texts.train, reader),
    calibration: await heldOutBatches(texts.calibration, reader),
    heldOut: await heldOutBatches(texts.heldOut, reader),
    library: {
      variants: { ...variants, ...widthMultiple === undefined ? {} : { widthMultiple } },
    },
    bypass: trainOptions(config, config.steps),
    ...config.layersAtOnce === undefined ? {} : { layersAtOnce: config.layersAtOnce },
    scenario: config.scenario,
    score: config.score,
    search: { ...search, constraints: config.constraint.map(parseConstraint), seed },
    rounds,
    fusion: null,
    distill: null,
    pretrain: null,
  };
}

/** What was chosen and what simpler ways would have chosen, measured on held-out texts before anything is distilled. */
function metricsOf(report: PuzzleReport): { readonly [name: string]: Json } {
  const [parent, child] = report.models;
  const means = (name: BaselineName): { kl: number; loss: number } | null => {
    const drawn = report.baselines.filter((baseline) => baseline.name === name);
    if (drawn.length === 0) return null;
    const mean = (value: (of: typeof drawn[number]) => number): number =>
      drawn.reduce((sum, one) => sum + value(one), 0) / drawn.length;
    return { kl: mean(({ kl }) => kl), loss: mean(({ loss }) => loss) };
  };
  return {
    loss: child.loss,
    kl: child.kl,
    parameters: child.parameters,
    predictedSpeedUp: report.predicted.child.decode / report.predicted.parent.decode,
    measuredSpeedUp: child.decodeTokensPerSecond! / parent.decodeTokensPerSecond!,
    choices: report.choices,
    baselines: {
      greedy: means("greedy"),
      random: means("random"),
      parameterMaximising: means("parameter-maximising"),
    },
  };
}
