/**
 * The report of a search: one HTML file that needs nothing else.
 *
 * @module
 */
import { section, table } from "../html.ts";
import { architectureSvg } from "./architecture_picture.ts";
import { quantities } from "./constraints.ts";
import { escapeXml, plotSvg } from "./plot.ts";
import { choiceName, parentChoice } from "./variants.ts";
import type { BaselineFigures, ModelFigures, PuzzleReport } from "./report_data.ts";

const parentName = choiceName(parentChoice);

const style = `
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; margin: 0.8rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.9rem 0.25rem 0; text-align: right; border-bottom: 1px solid #e5e5e5; }
.text { text-align: left; } th { color: #666; font-weight: 500; }
svg { max-width: 100%; height: auto; } .note { color: #666; } tr.chosen td { font-weight: 600; }
`;

/** The report as an HTML document. */
export function reportHtml(report: PuzzleReport): string {
  const { models, pareto, fusion } = report;
  const sections = [
    `<h1>Architecture search</h1>`,
    `<p>${summary(report)}</p>`,
    section("Models", modelTable(models) + measuredNote(report)),
    section("Architectures", architectureSvg("What each block has", pictured(models))),
    section("Against simpler ways to choose", baselineTable(report)),
    report.candidates.length > 1 ? section("What was considered", candidateTable(report)) : "",
    pareto.points.length > 1 ? section("What is lost for what is gained", paretoPlot(report)) : "",
    fusion ? section("Fused feed-forward parts", fusionText(fusion)) : "",
    section("Predicted and measured", predictionTable(report)),
    section("Block library", libraryTable(report)),
    section("Time", timeTable(report)),
  ];
  return `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Architecture search</title>` +
    `<meta name="viewport" content="width=device-width"><style>${style}</style></head><body>\n` +
    sections.join("\n") + `\n</body></html>\n`;
}

function summary({ models, constraints, hardware }: PuzzleReport): string {
  const parent = models[0], last = models.at(-1)!;
  const limits = constraints.map(({ quantity, min, max }) => {
    const unit = quantities[quantity].unit;
    const bounds = [
      min === undefined ? "" : `at least ${figure(min)} ${unit}`,
      max === undefined ? "" : `at most ${figure(max)} ${unit}`,
    ];
    return `${quantity} ${bounds.filter((bound) => bound !== "").join(" and ").trim()}`;
  });
  const faster = (last.decodeTokensPerSecond ?? 0) / (parent.decodeTokensPerSecond ?? 1);
  return escapeXml(
    `Asked for: ${limits.join(", ") || "no limits"}. ` +
      `The result decodes ${faster.toFixed(2)} times as fast as the parent, has ${
        percent(last.parameters / parent.parameters)
      } of its parameters and ${
        percent(last.kvBytesPerToken / parent.kvBytesPerToken)
      } of its KV cache; ` +
      `its held-out loss is ${last.loss.toFixed(4)} (parent ${parent.loss.toFixed(4)}). ` +
      `Measured on ${hardware.cpu}, ${hardware.threads} threads, ${hardware.dtype}.`,
  );
}

function modelTable(models: readonly ModelFigures[]): string {
  const [parent] = models;
  return table(
    [
      "model",
      "parameters",
      "KV bytes/token",
      "loss",
      "KL to parent",
      "decode tok/s",
      "speed-up",
      "prefill",
    ],
    models.map((model) => [
      model.name,
      model.parameters.toLocaleString("en"),
      model.kvBytesPerToken.toLocaleString("en"),
      model.loss.toFixed(4),
      model.kl.toFixed(4),
      model.decodeTokensPerSecond === null ? "–" : figure(model.decodeTokensPerSecond),
      model.decodeTokensPerSecond === null || parent.decodeTokensPerSecond === null
        ? "–"
        : `${(model.decodeTokensPerSecond / parent.decodeTokensPerSecond).toFixed(2)}×`,
      model.prefillSeconds === null ? "–" : `${(1000 * model.prefillSeconds).toFixed(1)} ms`,
    ]),
  );
}

function measuredNote({ scenario, batch }: PuzzleReport): string {
  return `<p class="note">Loss and KL on held-out text, in nats per token. Speeds were measured with ${batch} sequences ` +
    `of ${scenario.promptTokens} prompt tokens and ${scenario.newTokens} new ones, all models taking turns.</p>`;
}

/** Each architecture once: distillation does not change it. */
function pictured(models: readonly ModelFigures[]): ModelFigures[] {
  return models.filter((model, i) =>
    models.findIndex(({ spec }) => JSON.stringify(spec) === JSON.stringify(model.spec)) === i
  );
}

function baselineTable(report: PuzzleReport): string {
  const { baselines, predictedScore, choices, models } = report;
  const child = models.find(({ name }) => name === "child")!;
  const rows = [
    { name: "search (MIP)", score: predictedScore, kl: child.kl, loss: child.loss, choices },
    ...bestOfEach(baselines),
  ];
  return table(
    ["chosen by", "predicted score", "KL to parent", "loss", "choices"],
    rows.map(({ name, score, kl, loss, choices }) => [
      name,
      score.toFixed(4),
      kl.toFixed(4),
      loss.toFixed(4),
      named(choices),
    ]),
    { words: [0, 4], chosen: 0 },
  ) + `<p class="note">All keep the same limits; before distillation, on held-out text. ` +
    `Of random architectures the one with the least measured KL is shown.</p>`;
}

function candidateTable({ candidates, score }: PuzzleReport): string {
  return table(
    ["predicted score", `measured ${score === "kl" ? "KL" : score}`, "choices"],
    candidates.map(({ score, measured, choices }) => [
      score.toFixed(4),
      measured === null ? "–" : measured.toFixed(4),
      named(choices),
    ]),
    { words: [2], chosen: 0 },
  ) +
    `<p class="note">Solutions of the program by what they lose on calibration text, which is not the held-out text: ` +
    `sums of scores are not exact.</p>`;
}

function named(choices: readonly string[]): string {
  return choices.map((choice) => choice === parentName ? "parent" : choice).join(" | ");
}

/** Of several by one name, the one with the least measured KL. */
export function bestOfEach(baselines: readonly BaselineFigures[]): BaselineFigures[] {
  const names = [...new Set(baselines.map(({ name }) => name))];
  return names.map((name) =>
    baselines.filter((one) => one.name === name).reduce((a, b) => b.kl < a.kl ? b : a)
  );
}

/** What is lost for what is gained, as SVG. */
export function paretoPlot(
  { pareto: { quantity, points }, predicted, predictedScore, score }: PuzzleReport,
): string {
  return plotSvg({
    title: `Predicted loss by ${quantity}`,
    x: `${quantity} (${quantities[quantity].unit || "count"}), by measured costs`,
    y: `summed ${score === "kl" ? "KL" : score} of replaced blocks`,
    series: [
      { name: "best architectures", points: points.map((p) => [p.value, p.score]), line: true },
      { name: "chosen", points: [[predicted.child[quantity], predictedScore]] },
    ],
  });
}

function fusionText({ groups, dependency }: NonNullable<PuzzleReport["fusion"]>): string {
  const named = groups.map((group) => group.join(" + ")).join("; ");
  const head = ["part", ...dependency.map((_, j) => `${j}`)];
  const rows = dependency.map((row, i) => [`${i}`, ...row.map((value) => value.toFixed(3))]);
  return `<p>Blocks of the child whose feed-forward parts became one: ${named || "none"}. ` +
    `How much part j of the run depends on part i (1 − cos):</p>` + table(head, rows);
}

function predictionTable({ predicted, models, batch }: PuzzleReport): string {
  const measured = (name: string): string => {
    const model = models.find((one) => one.name === name);
    return model?.decodeTokensPerSecond ? figure(model.decodeTokensPerSecond) : "–";
  };
  return table(
    ["decode tok/s", "predicted", "measured"],
    (["parent", "child"] as const).map((name) => [
      name,
      figure(predicted[name].decode),
      measured(name),
    ]),
  ) +
    `<p class="note">Predictions add up the measured costs of parts, for batches of ${batch}.</p>`;
}

function libraryTable({ library }: PuzzleReport): string {
  return table(
    ["block", "part", "variant", "error at first", "error after training"],
    library.map(({ layer, kind, name, initialError, error }) => [
      `${layer}`,
      kind,
      name,
      initialError.toFixed(4),
      error.toFixed(4),
    ]),
    { words: [0, 1, 2] },
  );
}

function timeTable({ seconds }: PuzzleReport): string {
  return table(
    ["part", "seconds"],
    Object.entries(seconds).map(([name, value]) => [name, value.toFixed(1)]),
  );
}

function figure(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: 4 });
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}
