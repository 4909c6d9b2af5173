/**
 * Measures how often a model answers right, with its reasoning on and off.
 *
 * @module
 */
import type { ChatTemplate, Tokenizer } from "../../text/mod.ts";
import type { CompletionSource } from "../generator.ts";
import {
  formatReward,
  type Reward,
  type RewardCompletion,
  RewardPool,
  type RewardPoolOptions,
  type RewardRow,
} from "../rewards/mod.ts";
import { PromptCoder } from "./prompts.ts";
import { bootstrapMean, type Estimate, passAtK, wilsonInterval } from "./statistics.ts";

/** Problems and how their answers are judged. */
export interface EvalTask {
  /** Such as "gsm8k". */
  readonly name: string;
  /** Each with a question, in `messages` or `prompt`, and what the reward reads. */
  readonly rows: readonly RewardRow[];
  /** 1 for a right completion, 0 for others: `mathReward()`, `choiceReward`, … */
  readonly correct: Reward;
}

/** The reasoning switch; `given` leaves each row as it is. */
export type ThinkingMode = "on" | "off" | "given";

/** How a model is measured. */
export interface EvalOptions extends RewardPoolOptions {
  /** Where completions come from. */
  readonly generate: CompletionSource;
  /** The model's. */
  readonly tokenizer: Tokenizer;
  /** How conversations are written (default: the tokenizer's own template). */
  readonly template?: ChatTemplate;
  /** By default on and off. */
  readonly modes?: readonly ThinkingMode[];
  /** Completions of each problem; 1 by default. */
  readonly samples?: number;
  /** The k of pass@k; 1 and `samples` by default. */
  readonly passAt?: readonly number[];
  /** The most tokens of a completion; 1,024 by default. */
  readonly maxTokens?: number;
  /** By default 0.6 with thinking on, greedy otherwise, as Llama-Nemotron is measured. */
  readonly temperature?: number;
  /** By default 0.95 with thinking on. */
  readonly topP?: number;
  /** Decides what is drawn; 0 by default. */
  readonly seed?: number;
  /** Called with each completion once it is judged. */
  readonly onJudged?: (judged: JudgedCompletion) => void;
}

/** A completion and its scores. */
export interface JudgedCompletion {
  /** The task's name. */
  readonly task: string;
  /** The reasoning switch. */
  readonly mode: ThinkingMode;
  /** The place of the row in the task. */
  readonly problem: number;
  /** The place among the problem's samples. */
  readonly sample: number;
  /** What the model wrote. */
  readonly completion: RewardCompletion;
  /** What the task's reward says. */
  readonly correct: number;
  /** 1 where it keeps to the switch. */
  readonly format: number;
}

/** What was measured of a task in one mode; all of it can be written as JSON. */
export interface EvalReport {
  /** The task's name. */
  readonly task: string;
  /** The reasoning switch. */
  readonly mode: ThinkingMode;
  /** Rows of the task. */
  readonly problems: number;
  /** Completions of each problem. */
  readonly samples: number;
  /** What the logits were divided by. */
  readonly temperature: number;
  /** Only the most likely tokens that together reach this probability were drawn from. */
  readonly topP: number;
  /** The share of right completions: mean@k, for k samples. */
  readonly accuracy: Estimate;
  /** pass@k by k. */
  readonly passAt: Readonly<Record<string, Estimate>>;
  /** The share of completions that keep to the switch; of those that ended. */
  readonly format: Estimate;
  /** The share of completions that the model ended itself. */
  readonly ended: Estimate;
  /** Mean tokens of a completion. */
  readonly tokens: number;
  /** Completions that could not be judged, which count as wrong. */
  readonly failures: number;
}

/**
 * A report for each task and mode. Every problem gets the same number of completions.
 *
 * With one sample per problem the interval of the accuracy is Wilson's, else that of a bootstrap over the problems.
 */
export async function evaluate(
  tasks: readonly EvalTask[],
  options: EvalOptions,
): Promise<EvalReport[]> {
  const reports: EvalReport[] = [];
  for (const task of tasks) {
    for (const mode of options.modes ?? ["on", "off"]) {
      reports.push(await evaluateTask(task, mode, options));
    }
  }
  return reports;
}

async function evaluateTask(
  task: EvalTask,
  mode: ThinkingMode,
  options: EvalOptions,
): Promise<EvalReport> {
  const { samples = 1, maxTokens = 1024, seed = 0 } = options;
  const { temperature = mode === "on" ? 0.6 : 0, topP = mode === "on" ? 0.95 : 1 } = options;
  const coder = new PromptCoder(options.tokenizer, options.template);
  const thinking = mode === "given" ? undefined : mode === "on";
  const rows = task.rows.map((row) => thinking === undefined ? row : { ...row, thinking });
  const prompts = rows.map((row) => coder.encode(row, thinking));
  const repeated = prompts.flatMap((prompt) => Array.from({ length: samples }, () => prompt));
  const pool = new RewardPool({ correct: task.correct, format: formatReward }, options);
  const judging: Promise<JudgedCompletion | null>[] = [];
  const judge = async (completion: RewardCompletion, place: number) => {
    const problem = Math.floor(place / samples), sample = place % samples;
    const { scores: { correct, format }, failures } = await pool.score(completion, rows[problem]);
    const judged = { task: task.name, mode, problem, sample, completion, correct, format };
    options.onJudged?.(judged);
    return "correct" in failures ? null : judged;
  };
  await options.generate(repeated.map(({ ids }) => ids), {
    ...{ maxTokens, temperature, topP, seed, stop: coder.stop },
    onCompletion: (completion, place) => {
      judging[place] = judge(coder.decode(completion, repeated[place], maxTokens), place);
    },
  });
  const judged = await Promise.all(judging);
  const kept = { ...options, samples };
  return { ...reportOf(task, mode, judged, kept), temperature, topP };
}

function reportOf(
  task: EvalTask,
  mode: ThinkingMode,
  judged: readonly (JudgedCompletion | null)[],
  { samples, passAt = [...new Set([1, samples])], seed = 0 }: EvalOptions & { samples: number },
): Omit<EvalReport, "temperature" | "topP"> {
  const right = task.rows.map(() => 0);
  for (const found of judged) if (found?.correct === 1) right[found.problem]++;
  const found = judged.filter((one) => one !== null);
  const finished = found.filter(({ completion }) => completion.ended);
  const share = right.map((count) => count / samples);
  const pass = passAt.map((k) => {
    const estimate = bootstrapMean(right.map((count) => passAtK(samples, count, k)), { seed });
    return [String(k), estimate] as const;
  });
  return {
    task: task.name,
    mode,
    problems: task.rows.length,
    samples,
    accuracy: samples === 1
      ? wilsonInterval(share.reduce((sum, one) => sum + one, 0), share.length)
      : bootstrapMean(share, { seed }),
    passAt: Object.fromEntries(pass),
    format: wilsonInterval(finished.filter(({ format }) => format === 1).length, finished.length),
    ended: wilsonInterval(finished.length, found.length),
    tokens: found.reduce((sum, { completion }) => sum + completion.tokens, 0) / found.length,
    failures: judged.length - found.length,
  };
}
