/**
 * The figures of a report, measured.
 *
 * @module
 */
import { join } from "node:path";
import { kvBytesPerToken } from "../../engine/mod.ts";
import { Decoder, summarize } from "../../nn/mod.ts";
import { Comparison } from "../compare.ts";
import type { BaselineName, Chosen } from "./choose.ts";
import { quantitiesOf, type Quantity } from "./constraints.ts";
import type { CostTable } from "./costs.ts";
import type { Pause } from "../interruption.ts";
import { enginePath } from "./engine_path.ts";
import { writeJson, writeText } from "./json_file.ts";
import type { BlockLibrary } from "./library.ts";
import { timeDecoders } from "./measure.ts";
import type { Solution } from "./mip.ts";
import { paretoCsv } from "./pareto.ts";
import { choicesAt, realisedDistance } from "./realise.ts";
import { paretoPlot, reportHtml } from "./report.ts";
import type { BaselineFigures, ModelFigures, PuzzleReport } from "./report_data.ts";
import type { FusionRecord } from "./fuse_child.ts";
import type { PuzzleOptions } from "./run.ts";
import { parentArchitecture, type SearchSpace } from "./space.ts";
import { choiceName } from "./variants.ts";

/** What a search has found. */
export interface Findings {
  /** Where models lie. */
  readonly folder: string;
  readonly parent: Decoder;
  readonly library: BlockLibrary;
  readonly space: SearchSpace;
  readonly costs: CostTable;
  readonly chosen: Chosen;
  readonly fusion: FusionRecord;
  /** The models besides the parent, by their folders. */
  readonly names: readonly string[];
  readonly pareto: { readonly quantity: Quantity; readonly solutions: readonly Solution[] };
}

/** What models are measured with. */
interface Measuring {
  readonly comparison: Comparison;
  readonly pause: Pause;
}

/** Measures all models and baselines, and puts the report together; times of the run's parts are missing yet. */
export async function assembleReport(
  options: PuzzleOptions,
  found: Findings,
  pause: Pause,
): Promise<Omit<PuzzleReport, "seconds">> {
  const { parent, library, space, costs, chosen, fusion, pareto } = found;
  using comparison = new Comparison(parent, options.heldOut);
  const [solution] = chosen.solutions, { batch } = solution;
  const named = (architecture: readonly number[]): string[] =>
    choicesAt(library.variants, architecture).map(choiceName);
  return {
    constraints: chosen.constraints,
    scenario: space.scenario,
    hardware: costs.hardware,
    score: options.score ?? "kl",
    batch,
    choices: named(solution.architecture),
    predictedScore: solution.score,
    predicted: {
      parent: quantitiesOf(space, parentArchitecture(space), batch),
      child: solution.quantities,
    },
    candidates: chosen.solutions.map(({ architecture, score, measured }) => ({
      choices: named(architecture),
      score,
      measured,
    })),
    models: await modelFigures(options, found, { batch, comparison, pause }),
    baselines: await baselineFigures(options, found, { comparison, pause }),
    fusion: fusion.groups.length > 0
      ? { groups: fusion.groups, dependency: fusion.dependency }
      : null,
    pareto: {
      quantity: pareto.quantity,
      points: pareto.solutions.map(({ quantities, score, architecture }) => ({
        value: quantities[pareto.quantity],
        score,
        choices: named(architecture),
      })),
    },
    library: library.entries.map((entry) => {
      const { layer, kind, name } = entry;
      return { layer, kind, name, ...library.figures(entry)! };
    }),
  };
}

/** Loss, distance and speed of the parent and all that came of it. Models of one architecture are timed once. */
async function modelFigures(
  options: PuzzleOptions,
  { folder, parent, space, names }: Findings,
  { batch, comparison, pause }: Measuring & { readonly batch: number },
): Promise<ModelFigures[]> {
  using stack = new DisposableStack();
  const dtype = options.dtype ?? "f32";
  const models = [
    { name: "parent", decoder: parent },
    ...names.map((name) => {
      const decoder = Decoder.load(join(folder, name), { dtype, train: false });
      return { name, decoder: stack.use(decoder) };
    }),
  ];
  const keys = models.map(({ decoder }) => JSON.stringify(decoder.spec.blocks));
  const distinct = [...new Set(keys)];
  const decoders = distinct.map((key) => models[keys.indexOf(key)].decoder);
  const scenario = { ...space.scenario, batchSizes: [batch] };
  const rounds = await timeDecoders(decoders, scenario, {
    ...{ path: enginePath, rounds: options.rounds ?? 9, pause },
  });
  return models.map(({ name, decoder }, i): ModelFigures => {
    const times = rounds.map((round) => round[distinct.indexOf(keys[i])][0]);
    return {
      name,
      spec: decoder.spec,
      parameters: summarize(decoder.spec).parameters.total,
      kvBytesPerToken: kvBytesPerToken(decoder.spec, dtype),
      prefillSeconds: Math.min(...times.map(({ prefill }) => prefill)),
      decodeTokensPerSecond: batch / Math.min(...times.map(({ decode }) => decode)),
      ...comparison.to(decoder),
    };
  });
}

/** What the baselines chose, measured as the child is: with the library's weights, before distillation. */
async function baselineFigures(
  options: PuzzleOptions,
  { library, chosen }: Findings,
  { comparison, pause }: Measuring,
): Promise<BaselineFigures[]> {
  const figures: BaselineFigures[] = [];
  for (const [name, solutions] of Object.entries(chosen.baselines)) {
    for (const { architecture, score } of solutions) {
      await pause();
      figures.push({
        name: name as BaselineName,
        score,
        choices: choicesAt(library.variants, architecture).map(choiceName),
        ...realisedDistance(options, library, architecture, comparison),
      });
    }
  }
  return figures;
}

/** Writes `report.json`, `report.html`, `pareto.csv` and `pareto.svg`. */
export function writeReport(report: PuzzleReport, { folder, space, pareto }: Findings): void {
  writeJson(join(folder, "report.json"), report);
  writeText(join(folder, "report.html"), reportHtml(report));
  writeText(join(folder, "pareto.csv"), paretoCsv(space, pareto.quantity, pareto.solutions));
  writeText(join(folder, "pareto.svg"), paretoPlot(report));
}
