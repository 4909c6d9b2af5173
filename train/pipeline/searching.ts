/**
 * The stage of the recipe that searches for a faster child of the parent, which then learns from it.
 *
 * @module
 */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { type Decoder, openHuggingFace } from "../../nn/mod.ts";
import { puzzleSchema } from "../config/search_schema.ts";
import { pretrainRow } from "../data/synthetic/mod.ts";
import { divided, searchOptions } from "../jobs/puzzle_job.ts";
import { everyBatch } from "../jobs/token_data.ts";
import { parseConstraint } from "../puzzle/constraints.ts";
import { bestOfEach } from "../puzzle/report.ts";
import type { PuzzleReport } from "../puzzle/report_data.ts";
import { type PuzzleHost, type PuzzleOptions, runPuzzle } from "../puzzle/run.ts";
import type { Json } from "../stage.ts";
import type { PipelineStage, StageContext, StageOutcome } from "./context.ts";
import { batchesOf, generatedRows } from "./training.ts";

/** Texts that differ; more than are ever read. */
const rowCount = 1_000_000;

/** Puzzle, FFN Fusion, distillation and continued pretraining, on texts as the parent learned from. */
export const searchingStage: PipelineStage = {
  name: "search",
  title: "searches for a faster architecture, which learns from the parent",
  async run(context) {
    const { recipe: { search }, place, folder, modelFolder, view, run, signal } = context;
    const steps: Readonly<Record<string, number>> = {
      "library-training": search.library.steps,
      "distilled-training": search.distill.steps,
      "pretrained-training": search.pretrain.steps,
    };
    using parent = context.load("pretrain", { train: false });
    using source = openHuggingFace(context.modelOf("pretrain"));
    using open = new DisposableStack();
    const host: PuzzleHost = {
      folder,
      tell: (line) => view.tell(line),
      sink(stage) {
        const name = stage.replace("-training", ""),
          watcher = open.use(view.training(name, steps[stage]));
        return open.use(run.stage(join(place, stage), { signal, watchers: [watcher] }));
      },
    };
    const { spec, entries, config, files } = source;
    const report = await runPuzzle({
      parent: { spec, entries },
      carry: { like: config, files },
      ...await searchParts(context, parent),
    }, host);
    if (report === null) return null;
    cpSync(join(folder, report.models.at(-1)!.name), modelFolder, { recursive: true });
    run.model(join(place, "model"));
    const trained = Object.values(steps).reduce((sum, count) => sum + count, 0);
    return outcomeOf(report, trained * search.batchTokens);
  },
};

/** What the recipe says of the search, and its texts. */
async function searchParts(
  context: StageContext,
  decoder: Decoder,
): Promise<Omit<PuzzleOptions, "parent" | "carry">> {
  const { recipe: { seed, dtype, tasks, pretrain, search } } = context;
  const { constraint, heldOutRows, ...settings } = search;
  const config = puzzleSchema.parse({ ...settings, model: "parent", data: "texts", dtype, seed });
  const { carefulShare, storyShare, directShare } = pretrain;
  const texts = { ...tasks, seed, carefulShare, storyShare, directShare };
  const tokenizer = await context.tokenizer();
  const reader = { decoder, tokenizer, seed, config: { ...config, lr: 0, steps: 0 } };
  const heldOut = generatedRows(
    "held-out texts",
    heldOutRows,
    (i) => ({ ...pretrainRow(i, { ...texts, split: "validation" }) }),
  );
  const rows = generatedRows("texts", rowCount, (i) => ({ ...pretrainRow(i, texts) }));
  return {
    batches: () => batchesOf(rows, reader),
    ...divided({ heldOut: await everyBatch(batchesOf(heldOut, reader, 1)) }),
    ...searchOptions(config),
    search: { ...config.search, constraints: constraint.map(parseConstraint), seed },
  };
}

/** The figures that a report shows. */
function outcomeOf(report: PuzzleReport, tokens: number): StageOutcome {
  const { models, baselines, choices } = report, last = models.at(-1)!;
  const named = (name: string) => models.find((model) => model.name === name);
  const figures = (name: string): Json => {
    const model = named(name);
    if (!model) return null;
    const { parameters, loss, kl, decodeTokensPerSecond, kvBytesPerToken } = model;
    return { parameters, loss, kl, decodeTokensPerSecond, kvBytesPerToken };
  };
  return {
    tokens,
    metrics: {
      loss: last.loss,
      parent: figures("parent"),
      child: figures("child"),
      fused: figures("fused"),
      distilled: figures("distilled"),
      pretrained: figures("pretrained"),
      choices,
      baselines: Object.fromEntries(
        bestOfEach(baselines).map(({ name, score, kl, loss }) => [name, { score, kl, loss }]),
      ),
    },
  };
}
