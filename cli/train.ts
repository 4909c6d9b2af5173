/**
 * `deno task train`: the whole recipe, or one stage of it.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { nearest } from "../text/spelling.ts";
import { ConfigError } from "../train/config/errors.ts";
import type { ConfigSchema } from "../train/config/fields.ts";
import { type Recipe, recipeSchema } from "../train/config/recipe_schema.ts";
import { pretrainSchema, sftSchema } from "../train/config/schema.ts";
import { distillSchema, type PuzzleConfig, puzzleSchema } from "../train/config/search_schema.ts";
import { parseYamlFile, type YamlFile } from "../train/config/yaml_file.ts";
import type { TokenJobConfig } from "../train/jobs/token_job.ts";
import { readRecord, statusOf } from "../train/runs/record.ts";
import { configFile, newestRun } from "../train/runs/run.ts";
import { runCommand } from "./command.ts";
import { UsageError } from "./errors.ts";
import { type Command, optionName, type OptionTable, userPath, type Values } from "./options.ts";
import { assumedOf, keysOf, placeOfParent, recipeKeysOf, withoutPlan } from "./recipe_file.ts";
import { writeLogits } from "./teacher_logits.ts";
import { systemTerminal, type Terminal } from "./terminal.ts";
import { configOptions, ownOptions, readConfig, readRecipe, readYaml } from "./train_options.ts";
import { configText, runRecipe } from "./train_pipeline.ts";
import { runPuzzleStage } from "./train_puzzle.ts";
import type { TrainPlan } from "./train_plan.ts";
import { runStage } from "./train_stage.ts";

/** Something that can be trained. */
interface Kind {
  readonly summary: string;
  readonly schema: ConfigSchema;
  readonly example: string;
}

const kinds: Readonly<Record<"pipeline" | "puzzle" | TokenJobConfig["stage"], Kind>> = {
  pipeline: {
    summary:
      "The whole recipe: a parent, Puzzle, fusion, distillation, fine-tuning, GRPO, a report.",
    schema: recipeSchema,
    example: "--seed 1 --pretrain.steps 500",
  },
  pretrain: {
    summary: "Next-token prediction on texts: a new model, or more of a model's training.",
    schema: pretrainSchema,
    example: "--data texts/ --steps 1000",
  },
  sft: {
    summary: "Supervised fine-tuning: what the assistant says in conversations is learned.",
    schema: sftSchema,
    example: "--model ./model --data rows.jsonl --epochs 2",
  },
  puzzle: {
    summary: "Architecture search under limits: a smaller child of a model, fused and distilled.",
    schema: puzzleSchema,
    example: "--model ./model --data texts/ --constraint decode=2x",
  },
  distill: {
    summary: "Global distillation: a student learns what its teacher predicts.",
    schema: distillSchema,
    example: "--model ./child --teacher ./model --data texts/",
  },
};

type KindName = keyof typeof kinds;
const names = Object.keys(kinds) as KindName[];

/** Runs the command; returns its exit code. */
export function main(args: readonly string[], terminal: Terminal): Promise<number> {
  const given = args[0] === "--" ? args.slice(1) : args;
  const word = given[0]?.startsWith("-") === false ? given[0] : null;
  const rest = word === null ? given : given.slice(1);
  // Which options there are depends on what is trained, which a file may name.
  const naming: Command<OptionTable> = { name: "train", summary: "", options: {}, examples: [] };
  return runCommand(naming, [], terminal, () => {
    if (rest.some((arg) => /^--resume(=|$)/.test(arg))) return resume(word, rest, terminal);
    const path = givenValue(rest, "--config"), file = path === null ? null : readYaml(path);
    return runKind(kindOf(word, file), file, rest, terminal);
  });
}

/** The text that follows an option, before the options are known. */
function givenValue(args: readonly string[], option: string): string | null {
  const at = args.findIndex((arg) => arg === option || arg.startsWith(`${option}=`));
  if (at < 0) return null;
  return args[at] === option ? args[at + 1] ?? null : args[at].slice(option.length + 1);
}

/** What the command line or the file names; the whole recipe where neither does. */
function kindOf(word: string | null, file: YamlFile | null): KindName {
  const inFile = file?.value.stage;
  if (word !== null && inFile !== undefined && word !== inFile) {
    throw new ConfigError([
      `${file!.name}:${file!.lineOf(["stage"])}: stage is ${inFile}, and ${word} was asked for. ` +
      "Leave one of them out.",
    ]);
  }
  const named = word ?? inFile ?? "pipeline";
  const kind = names.find((name) => name === named);
  if (kind !== undefined) return kind;
  const meant = nearest(String(named), names);
  const fix = meant === null ? `Choose one of ${names.join(", ")}.` : `Did you mean ${meant}?`;
  throw new UsageError(`train: there is no stage "${named}". ${fix}`);
}

function runKind(
  kind: KindName,
  file: YamlFile | null,
  args: readonly string[],
  terminal: Terminal,
): Promise<number> {
  const { summary, schema, example } = kinds[kind], isWhole = kind === "pipeline";
  const base = isWhole ? readRecipe("default.yaml").value : {};
  const options: OptionTable = { ...ownOptions, ...configOptions(schema, base) };
  const command: Command<OptionTable> = {
    name: isWhole ? "train" : `train ${kind}`,
    summary,
    options,
    examples: [...isWhole ? [""] : [], example, "--config mine.yaml --dry-run"],
    notes: [
      "Every key of a file is an option, and the other way round: kvHeads in shape is --shape.kv-heads.",
      ...isWhole ? stageNotes : [],
    ],
  };
  return runCommand(command, args, terminal, (values) => {
    const plan = planOf(values as Values<typeof ownOptions>);
    if (kind === "puzzle") return runPuzzleStage(searchOf(file, values), plan, terminal);
    if (kind !== "pipeline") {
      const job = jobOf(kind, file, values);
      const to = job.stage === "distill" ? job.config.writeLogits : undefined;
      return job.stage === "distill" && to !== undefined
        ? writeLogits(job.config, userPath(to), plan, terminal)
        : runStage({ ...plan, job }, terminal);
    }
    const given = readConfig(recipeSchema, file && recipeKeysOf(file), values, base);
    const recipe = given.model === file?.value.model ? given : withoutPlan(given);
    return startRecipe(recipe, { ...plan, assumed: assumedOf(file) }, terminal);
  });
}

/** Runs the recipe with paths as the user means them, or goes on with it. */
async function startRecipe(given: Recipe, plan: TrainPlan, terminal: Terminal): Promise<number> {
  const { model, data, questions, tokenizer } = given, { path } = tokenizer;
  const recipe: Recipe = {
    ...given,
    ...model === undefined ? {} : { model: await placeOfParent(given, plan, terminal) },
    ...data === undefined ? {} : { data: userPaths(data) },
    ...questions === undefined ? {} : { questions: userPaths(questions) },
    tokenizer: { ...tokenizer, ...placeOf("path", path) },
  };
  return await runRecipe(recipe, { ...plan, resume: unfinished(recipe, plan.runs) }, terminal);
}

/** Where to read of the stages that can be trained on their own. */
const stageNotes = names.filter((name) => name !== "pipeline")
  .map((name) => `deno task train ${name} --help: ${kinds[name].summary}`);

/** The plan of options, for a new run. */
function planOf({ runs, dryRun, threads, json }: Values<typeof ownOptions>): TrainPlan {
  return { runs: runs ?? userPath("runs"), resume: null, dryRun, assumed: {}, threads, json };
}

/** The newest run, where it is of this recipe and not finished: whoever asks for the same again wants it to go on. */
function unfinished(recipe: Recipe, runs: string): string | null {
  const folder = newestRun(runs, () => true);
  if (folder === null || !isOpen(folder)) return null;
  const text = readFileSync(join(folder, configFile), "utf8");
  return text === configText(recipe) ? folder : null;
}

/** A checked configuration, whose paths are as the user means them. */
function jobOf(
  stage: TokenJobConfig["stage"],
  file: YamlFile | null,
  values: Readonly<Record<string, unknown>>,
): TokenJobConfig {
  const config = readConfig(kinds[stage].schema, file && keysOf(file), values);
  const job = { stage, config } as unknown as TokenJobConfig;
  const data = userPaths(job.config.data);
  if (job.stage === "sft") return { stage: job.stage, config: { ...job.config, data } };
  if (job.stage === "distill") {
    const { teacher, teacherLogits } = job.config;
    const places = { ...placeOf("teacher", teacher), ...placeOf("teacherLogits", teacherLogits) };
    return { stage: job.stage, config: { ...job.config, ...places, data } };
  }
  const { tokenizer } = job.config;
  const own = tokenizer === undefined ? {} : { tokenizer: userPath(tokenizer) };
  return { stage: job.stage, config: { ...job.config, ...own, data } };
}

/** A checked configuration of a search, whose paths are as the user means them. */
function searchOf(file: YamlFile | null, values: Readonly<Record<string, unknown>>): PuzzleConfig {
  const config = readConfig(puzzleSchema, file && keysOf(file), values);
  const from = config.from === undefined ? {} : { from: userPath(config.from) };
  return { ...config, ...from, data: userPaths(config.data) };
}

function userPaths(data: PuzzleConfig["data"]): PuzzleConfig["data"] {
  return data.map(({ path, weight }) => ({ path: userPath(path), weight }));
}

function placeOf(key: string, path: string | undefined): Record<string, string> {
  return path === undefined ? {} : { [key]: userPath(path) };
}

/** Goes on with a run as it was configured. */
function resume(
  word: string | null,
  args: readonly string[],
  terminal: Terminal,
): Promise<number> {
  const known = new Set([...Object.keys(ownOptions).map(optionName), "--help"]);
  const other = word ?? args.find((arg) => arg.startsWith("--") && !known.has(arg.split("=")[0]));
  if (other !== undefined) {
    throw new UsageError(
      `train: a resumed run keeps its configuration, ${other} given. ` +
        "Leave it out, or begin a new run.",
    );
  }
  const command: Command<typeof ownOptions> = {
    name: "train",
    summary: "Goes on with a run.",
    options: ownOptions,
    examples: ["--resume", "--resume sft-2026-11-21-1432"],
  };
  return runCommand(command, args, terminal, (values) => {
    const plan = planOf(values), folder = runToResume(plan.runs, values.resume!);
    const file = parseYamlFile(configFile, readFileSync(join(folder, configFile), "utf8"));
    const kind = kindOf(null, file), going = { ...plan, resume: folder };
    if (kind === "puzzle") return runPuzzleStage(searchOf(file, {}), going, terminal);
    return kind === "pipeline"
      ? runRecipe(readConfig(recipeSchema, keysOf(file), {}), going, terminal)
      : runStage({ ...going, job: jobOf(kind, file, {}) }, terminal);
  });
}

/** The folder of the run that was asked for. Throws UsageError when there is none, or when it is finished. */
function runToResume(runs: string, given: string): string {
  if (given === ownOptions.resume.bare) {
    const folder = newestRun(runs, ({ name }) => isOpen(join(runs, name)));
    if (folder !== null) return folder;
    throw new UsageError(`train: there is no unfinished run in ${runs}. See deno task runs.`);
  }
  const folder = join(runs, given), record = readRecord(folder);
  if (record === null) {
    const meant = existsSync(runs) ? nearest(given, readdirSync(runs)) : null;
    const fix = meant === null ? "See deno task runs." : `Did you mean ${meant}?`;
    throw new UsageError(`train: there is no run ${given} in ${runs}. ${fix}`);
  }
  if (record.status === "finished") {
    throw new UsageError(`train: ${given} is finished. Begin a new run, from its model perhaps.`);
  }
  return folder;
}

/** Whether a run has more to do, and nobody does it. */
function isOpen(folder: string): boolean {
  const record = readRecord(folder);
  return record !== null && ["interrupted", "failed"].includes(statusOf(folder, record));
}

if (import.meta.main) Deno.exit(await main(Deno.args, systemTerminal()));
