/**
 * `deno task train`: one stage of training, from a configuration.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { nearest } from "../text/spelling.ts";
import { ConfigError } from "../train/config/errors.ts";
import type { ConfigSchema } from "../train/config/fields.ts";
import { pretrainSchema, sftSchema } from "../train/config/schema.ts";
import { parseYamlFile, type YamlFile } from "../train/config/yaml_file.ts";
import type { TokenJobConfig } from "../train/jobs/token_job.ts";
import { readRecord, type RunRecord, statusOf } from "../train/runs/record.ts";
import { configFile, newestRun } from "../train/runs/run.ts";
import { runCommand } from "./command.ts";
import { UsageError } from "./errors.ts";
import { type Command, optionName, type OptionTable, userPath, type Values } from "./options.ts";
import { systemTerminal, type Terminal } from "./terminal.ts";
import { configOptions, ownOptions, readConfig, readYaml } from "./train_options.ts";
import { runStage, type StagePlan } from "./train_stage.ts";

/** A stage that can be trained on its own. */
interface StageKind {
  readonly summary: string;
  readonly schema: ConfigSchema;
  readonly example: string;
}

const stages: Readonly<Record<TokenJobConfig["stage"], StageKind>> = {
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
};

type StageName = keyof typeof stages;
const names = Object.keys(stages) as StageName[];

const overview: Command<typeof ownOptions> = {
  name: "train",
  summary: "Trains a model: deno task train <stage> --help shows a stage's options.",
  options: ownOptions,
  examples: Object.entries(stages).map(([name, { example }]) => `${name} ${example}`),
  notes: Object.entries(stages).map(([name, { summary }]) => `${name}: ${summary}`),
};

/** Runs the command; returns its exit code. */
export function main(args: readonly string[], terminal: Terminal): Promise<number> {
  const given = args[0] === "--" ? args.slice(1) : args;
  const word = given[0]?.startsWith("-") === false ? given[0] : null;
  const rest = word === null ? given : given.slice(1);
  // Which options there are depends on the stage, which a file may name.
  return runCommand({ ...overview, options: {} }, [], terminal, () => {
    if (rest.some((arg) => /^--resume(=|$)/.test(arg))) return resume(word, rest, terminal);
    const path = givenValue(rest, "--config"), file = path === null ? null : readYaml(path);
    const named = stageOf(word, file);
    return named === null
      ? runCommand(overview, rest, terminal, () => {
        throw new UsageError(`train: no stage is given. Choose one of ${names.join(", ")}.`);
      })
      : runNamed(named, file, rest, terminal);
  });
}

/** The text that follows an option, before the options are known. */
function givenValue(args: readonly string[], option: string): string | null {
  const at = args.findIndex((arg) => arg === option || arg.startsWith(`${option}=`));
  if (at < 0) return null;
  return args[at] === option ? args[at + 1] ?? null : args[at].slice(option.length + 1);
}

/** The stage that the command line or the file names; null when neither does. */
function stageOf(word: string | null, file: YamlFile | null): StageName | null {
  const inFile = file?.value.stage;
  if (word !== null && inFile !== undefined && word !== inFile) {
    throw new ConfigError([
      `${file!.name}:${file!.lineOf(["stage"])}: stage is ${inFile}, and ${word} was asked for. ` +
      "Leave one of them out.",
    ]);
  }
  const named = word ?? inFile;
  if (named === undefined) return null;
  const stage = names.find((name) => name === named);
  if (stage !== undefined) return stage;
  const meant = nearest(String(named), names);
  const fix = meant === null ? `Choose one of ${names.join(", ")}.` : `Did you mean ${meant}?`;
  throw new UsageError(`train: there is no stage "${named}". ${fix}`);
}

function runNamed(
  stage: StageName,
  file: YamlFile | null,
  args: readonly string[],
  terminal: Terminal,
): Promise<number> {
  const { summary, schema, example } = stages[stage];
  const options: OptionTable = { ...ownOptions, ...configOptions(schema) };
  const command: Command<OptionTable> = {
    name: `train ${stage}`,
    summary,
    options,
    examples: [example, "--config stage.yaml --lr 3e-4", "--config stage.yaml --dry-run"],
    notes: [
      "Every key of a file is an option, and the other way round: kvHeads in shape is --shape.kv-heads.",
    ],
  };
  return runCommand(command, args, terminal, (values) => {
    const own = values as Values<typeof ownOptions>;
    const job = jobOf(stage, file, values);
    return runStage({ ...planOf(own), job, resume: null }, terminal);
  });
}

/** The plan of options, but for what and from where. */
function planOf({ runs, dryRun, threads, json }: Values<typeof ownOptions>): OwnPlan {
  return { runs: runs ?? userPath("runs"), dryRun, threads, json };
}

type OwnPlan = Omit<StagePlan, "job" | "resume">;

/** A checked configuration, whose paths are as the user means them. */
function jobOf(
  stage: StageName,
  file: YamlFile | null,
  values: Readonly<Record<string, unknown>>,
): TokenJobConfig {
  const config = readConfig(stages[stage].schema, file === null ? null : keysOf(file), values);
  const job = { stage, config } as unknown as TokenJobConfig;
  const data = job.config.data.map(({ path, weight }) => ({ path: userPath(path), weight }));
  if (job.stage === "sft") return { stage: job.stage, config: { ...job.config, data } };
  const { tokenizer } = job.config;
  const own = tokenizer === undefined ? {} : { tokenizer: userPath(tokenizer) };
  return { stage: job.stage, config: { ...job.config, ...own, data } };
}

/** A file without the name of its stage. */
function keysOf(file: YamlFile): YamlFile {
  const { stage: _, ...value } = file.value;
  return { ...file, value };
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
  return runCommand(overview, args, terminal, (values) => {
    const own = planOf(values), folder = runToResume(own.runs, values.resume!);
    const file = parseYamlFile(configFile, readFileSync(join(folder, configFile), "utf8"));
    const job = jobOf(stageOf(null, file)!, file, {});
    return runStage({ ...own, job, resume: folder }, terminal);
  });
}

/** The folder of the run that was asked for. Throws UsageError when there is none, or when it is finished. */
function runToResume(runs: string, given: string): string {
  const isOpen = (record: RunRecord): boolean =>
    ["interrupted", "failed"].includes(statusOf(join(runs, record.name), record));
  if (given === ownOptions.resume.bare) {
    const folder = newestRun(runs, isOpen);
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

if (import.meta.main) Deno.exit(await main(Deno.args, systemTerminal()));
