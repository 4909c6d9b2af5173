/**
 * `report.html`: what the recipe did, in one file that needs nothing else.
 *
 * @module
 */
import { join } from "node:path";
import { openHuggingFace } from "../../nn/mod.ts";
import { section, table } from "../html.ts";
import { architectureSvg } from "../puzzle/architecture_picture.ts";
import { escapeXml } from "../puzzle/plot.ts";
import { metricsFile } from "../runs/stage_recorder.ts";
import { readStepLog } from "../runs/step_log.ts";
import type { Json } from "../stage.ts";
import { claimsOf, percent, type ReportFigures } from "./claims.ts";
import type { StageReport } from "./context.ts";
import { curveOf, curveSvg } from "./curves.ts";

/** Where the report finds what it shows. */
export interface PageParts {
  /** The run's name. */
  readonly name: string;
  readonly stages: readonly StageReport[];
  readonly figures: ReportFigures;
  /** The folder of a stage. */
  readonly folderOf: (stage: string) => string;
}

const style = `
:root { color-scheme: light dark; --ink: #1d2430; --faint: #667085; --paper: #fff; --line: #e4e7ec; --bar: #f1f3f6; --accent: #0072b2; --dot: #d55e00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --faint: #98a2b3; --paper: #14181f; --line: #2b313c; --bar: #232a35; --accent: #56b4e9; --dot: #e69f00; } }
body { font: 15px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 70rem; margin: 2.5rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.6rem; margin-bottom: 0.3rem; } h2 { font-size: 1.15rem; margin-top: 2.4rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.93em; }
th, td { padding: 0.35rem 0.9rem 0.35rem 0; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
.claims td { white-space: normal; } .text { text-align: left; } th { color: var(--faint); font-weight: 500; }
.note, .faint { color: var(--faint); fill: var(--faint); } svg { max-width: 100%; fill: var(--ink); font: 11px system-ui, sans-serif; }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1.2rem 1.6rem; }
.strong { font-weight: 600; font-size: 12px; } .axis { fill: none; stroke: var(--line); } .line { fill: none; stroke: var(--accent); stroke-width: 1.6; } .dot { fill: var(--dot); }
.figures { display: flex; flex-wrap: wrap; gap: 0.8rem; margin: 1.4rem 0; } .figures div { border: 1px solid var(--line); border-radius: 0.6rem; padding: 0.6rem 1rem; }
.figures b { display: block; font-size: 1.35rem; }
.picture [fill="#fff"] { fill: var(--paper); } .picture [fill="#f3f3f3"] { fill: var(--bar); } .picture [fill="#777"] { fill: var(--faint); } .picture svg { fill: var(--ink); } .picture [stroke="#ccc"] { stroke: var(--faint); } .picture text[fill="#0072b2"] { fill: var(--accent); } .picture text[fill="#d55e00"] { fill: var(--dot); }
`;

/** The page. */
export function reportPage(parts: PageParts): string {
  const { name, stages, figures } = parts, title = `Denotron: ${name}`;
  const sections = [
    `<h1>${escapeXml(title)}</h1>`,
    `<p class="note">${escapeXml(introduction(parts))}</p>`,
    highlights(figures),
    section("Blocks of parent and child", picture(parts)),
    section("Stages", stageTable(stages, figures)),
    section("How they went", curves(parts)),
    section("What was published, and what this run measured", claimTable(figures, stages)),
  ];
  return `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>${
    escapeXml(title)
  }</title>` +
    `<meta name="viewport" content="width=device-width, initial-scale=1"><style>${style}</style></head><body>\n` +
    sections.join("\n") + `\n</body></html>\n`;
}

function introduction({ stages, figures: { seconds, parent } }: PageParts): string {
  const tokens = stages.reduce((sum, stage) => sum + stage.tokens, 0);
  return `${stages.length} stages in ${clock(seconds)}, ${whole(tokens)} tokens, on a parent of ` +
    `${
      whole(parent.parameters)
    } parameters. Everything here is of a toy size: the method is the published one, the models ` +
    `are not.`;
}

function highlights({ parent, child, sft, grpo }: ReportFigures): string {
  const speed = child.decodeTokensPerSecond / parent.decodeTokensPerSecond;
  const shown: readonly (readonly [string, string])[] = [
    [`${speed.toFixed(2)}×`, "decoding speed of the child"],
    [percent(child.kvBytesPerToken / parent.kvBytesPerToken), "of the parent's KV cache"],
    [`${percent(sft.accuracyOff)} → ${percent(sft.accuracyOn)}`, "right without, with thinking"],
    [
      `${percent(grpo.accuracyBefore)} → ${percent(grpo.accuracyAfter)}`,
      "right before, after GRPO",
    ],
  ];
  const boxes = shown.map(([value, label]) => `<div><b>${value}</b>${escapeXml(label)}</div>`);
  return `<div class="figures">${boxes.join("")}</div>`;
}

/** Parent, child as it was chosen, and child as it is, where fusion changed it. */
function picture({ stages, folderOf }: PageParts): string {
  const fused = stages.find(({ name }) => name === "fusion")?.metrics.groups as Json[] | undefined;
  const models = [
    ["parent", stages.some(({ name }) => name === "parent") ? "parent" : "pretrain"],
    ...stages.some(({ name }) => name === "puzzle") ? [["child", "puzzle"]] : [],
    ...fused && fused.length > 0 ? [["child, fused", "fusion"]] : [],
  ].map(([name, stage]) => {
    using source = openHuggingFace(join(folderOf(stage), "model"));
    return { name, spec: source.spec };
  });
  return `<div class="wide picture">${
    architectureSvg("What each block has, the first at the bottom", models)
  }</div>`;
}

function stageTable(stages: readonly StageReport[], figures: ReportFigures): string {
  const head = [
    ...["stage", "time", "tokens", "tokens/s", "loss"],
    ...["right, on", "right, off", "format, on", "format, off"],
    ...["decode tok/s", "KV bytes/token"],
  ];
  const evaluation = stages.find(({ name }) => name === "evaluation")?.metrics ?? {};
  const models: Readonly<Record<string, ReportFigures["parent"]>> = {
    parent: figures.parent,
    pretrain: figures.parent,
    grpo: figures.child,
  };
  const rows = stages.map(({ name, seconds, tokens, metrics }) => {
    const answers = (evaluation[name] ?? {}) as Readonly<Record<string, Json>>,
      model = models[name];
    const share = (key: string): string =>
      typeof answers[key] === "number" ? percent(answers[key]) + interval(answers, key) : "";
    return [
      name,
      clock(seconds),
      tokens > 0 ? whole(tokens) : "",
      whole(metrics.rolloutTokensPerSecond ?? metrics.tokensPerSecond),
      name === "grpo" ? "" : fixed(metrics.loss),
      share("accuracyOn"),
      share("accuracyOff"),
      share("formatOn"),
      share("formatOff"),
      model ? whole(model.decodeTokensPerSecond) : "",
      model ? whole(model.kvBytesPerToken) : "",
    ];
  });
  return `<div class="wide">${table(head, rows)}</div>` +
    `<p class="note">Loss on held-out rows, in nats: of texts, from sft on of conversations. Right answers to new problems ` +
    `with 95 % intervals, drawn as the policy draws. Tokens/s of grpo are those of its rollouts. Decoding as measured ` +
    `through the engine with ${
      whole(evaluation.batch)
    } sequences, parent and child taking turns.</p>`;
}

/** Brackets around the bounds of an accuracy. */
function interval(answers: Readonly<Record<string, Json>>, key: string): string {
  const bounds = answers[key.replace("accuracy", "interval")];
  if (!key.startsWith("accuracy") || !Array.isArray(bounds)) return "";
  return ` [${bounds.map((bound) => (100 * Number(bound)).toFixed(1)).join(", ")}]`;
}

/** What stages are about, where it is not the loss. */
const quantities: Readonly<Record<string, string>> = { distill: "kl", grpo: "reward" };

function curves({ stages, folderOf }: PageParts): string {
  const drawn = stages.flatMap(({ name }) => {
    const folder = folderOf(name), part = name === "puzzle" ? "library-training" : "";
    const lines = readStepLog(join(folder, part, metricsFile));
    if (lines.length === 0) return [];
    const quantity = quantities[name] ?? "loss";
    return [curveSvg(curveOf(name === "puzzle" ? "puzzle, block library" : name, quantity, lines))];
  });
  return `<div class="curves">${drawn.join("\n")}</div>` +
    `<p class="note">Lines: training. Dots: held-out rows.</p>`;
}

function claimTable(figures: ReportFigures, stages: readonly StageReport[]): string {
  const rows = claimsOf(figures).filter(({ stage }) => stages.some(({ name }) => name === stage))
    .map(({ claim }) => claim);
  return `<div class="wide claims">${
    table(["", "published", "here"], rows, { words: [0, 1, 2] })
  }</div>` +
    `<p class="note">Published: Llama-Nemotron (2505.00949), Puzzle (2411.19146), FFN Fusion (2503.18908). Their models are ` +
    `a hundred thousand times as large and their tasks are other ones: the right column shows that the parts work together, ` +
    `not that they would do the same there.</p>`;
}

function clock(seconds: number): string {
  const rounded = Math.round(seconds);
  return `${Math.floor(rounded / 60)}:${String(rounded % 60).padStart(2, "0")}`;
}

function whole(value: Json | undefined): string {
  return typeof value === "number" ? Math.round(value).toLocaleString("en") : "";
}

function fixed(value: Json | undefined): string {
  return typeof value === "number" ? value.toFixed(4) : "";
}
