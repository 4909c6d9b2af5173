/**
 * Problems and stories by their number: each is a function of seed, split and index.
 *
 * @module
 */
import { RandomKey } from "../../../tensor/mod.ts";
import { Draw } from "./draw.ts";
import { story } from "./prose.ts";
import type { Problem, Task } from "./task.ts";
import { tasks } from "./tasks/mod.ts";

/** Parts of the data that have no problem and no story in common. */
export type Split = "train" | "validation" | "test";

/** A problem with one way to work it out. */
export interface GeneratedTask {
  /** Name of the task. */
  readonly task: string;
  /** Difficulty, from 1. */
  readonly level: number;
  /** What is asked. */
  readonly question: string;
  /** The working: one step a line, the last of which ends with the answer. */
  readonly trace: string;
  /** The answer. */
  readonly answer: string;
}

/** Which problems to draw. */
export interface TaskOptions {
  /** Decides all of them; 0 by default. */
  readonly seed?: number;
  /** What they are for; "train" by default. */
  readonly split?: Split;
  /** Who draws them: every stage has its own problems of the split; "tasks" by default. */
  readonly stage?: string;
  /** Names of tasks, equally often; all by default. */
  readonly tasks?: readonly string[];
  /** Difficulties to draw from, easier ones more often, as far as a task has them; all by default. */
  readonly levels?: readonly number[];
  /**
   * How many of the traces go in small steps, 0 to 1; 0.5 by default. The others are brief, as of somebody who reckons in
   * the head, and harder to get right: reinforcement learning can find out that care pays.
   */
  readonly carefulShare?: number;
}

/** The split of a text or of the content of a problem, by its hash: eight in ten train, one each validates and tests. */
export function splitOf(content: string): Split {
  const part = new RandomKey(0).derive(content).uniform(0);
  return part < 0.8 ? "train" : part < 0.9 ? "validation" : "test";
}

/**
 * The problem of a task and level that a key decides.
 * Throws RangeError for a task or a level that does not exist.
 *
 * @example
 * ```ts
 * import { generateTask } from "@denotron/denotron/train";
 * import { RandomKey } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * const { question, answer, trace } = generateTask("addition", 2, new RandomKey(7));
 * const [a, b] = question.match(/\d+/g)!.map(Number);
 * assert.equal(Number(answer), a + b);
 * assert.ok(trace.endsWith(answer));
 * ```
 */
export function generateTask(
  name: string,
  level: number,
  key: RandomKey,
  { carefulShare = 0.5 }: Pick<TaskOptions, "carefulShare"> = {},
): GeneratedTask {
  const task = taskNamed(name);
  if (!(Number.isInteger(level) && level >= 1 && level <= task.levels)) {
    throw new RangeError(
      `generateTask: ${name} has no such level, ${level} given (1 to ${task.levels}). Choose one of these.`,
    );
  }
  return worked(
    task,
    level,
    task.problem(level, new Draw(key.derive("problem"))),
    key,
    carefulShare,
  );
}

/** Problem `index` of a seed and split. Throws RangeError for a task that does not exist, or has none of the levels. */
export function taskAt(index: number, options: TaskOptions = {}): GeneratedTask {
  const { seed = 0, split = "train", stage = "tasks", carefulShare = 0.5 } = options;
  const candidates = levelsOf(options);
  const own = new RandomKey(seed).derive("synthetic").derive(stage).derive(split).derive(index);
  const choice = new Draw(own.derive("choice"));
  const { task, levels } = choice.pick(candidates);
  // The easier of two draws: of four levels, the first comes seven times as often as the last.
  const level = Math.min(choice.pick(levels), choice.pick(levels));
  for (let attempt = 0;; attempt++) {
    const key = own.derive(attempt);
    const problem = task.problem(level, new Draw(key.derive("problem")));
    if (splitOf(problem.content) === split) {
      return worked(task, level, problem, key, carefulShare);
    }
  }
}

/** Story `index` of a seed and split. */
export function storyAt(index: number, { seed = 0, split = "train" }: TaskOptions = {}): string {
  const own = new RandomKey(seed).derive("synthetic").derive("stories").derive(split).derive(index);
  for (let attempt = 0;; attempt++) {
    const text = story(new Draw(own.derive(attempt)));
    if (splitOf(text) === split) return text;
  }
}

/** The problem with the trace that the key chooses. */
function worked(
  { name }: Task,
  level: number,
  { question, answer, careful, brief }: Problem,
  key: RandomKey,
  carefulShare: number,
): GeneratedTask {
  const steps = key.derive("style").uniform(0) < carefulShare ? careful : brief;
  return { task: name, level, question, trace: steps.join("\n"), answer };
}

function taskNamed(name: string): Task {
  const task = tasks.find((task) => task.name === name);
  if (task) return task;
  throw new RangeError(
    `synthetic tasks: there is no task ${JSON.stringify(name)} ` +
      `(${tasks.map(({ name }) => name).join(", ")}). Choose one of these.`,
  );
}

/** The tasks to draw from, each with its levels. */
function levelsOf(
  { tasks: names, levels: wanted }: TaskOptions,
): { task: Task; levels: number[] }[] {
  const chosen = names?.map(taskNamed) ?? tasks;
  const candidates = chosen.map((task) => {
    const levels = Array.from({ length: task.levels }, (_, i) => i + 1);
    return { task, levels: levels.filter((level) => wanted?.includes(level) ?? true) };
  }).filter(({ levels }) => levels.length > 0);
  if (candidates.length > 0) return candidates;
  throw new RangeError(
    `synthetic tasks: no task has the levels [${wanted}] (1 to ` +
      `${Math.max(...chosen.map(({ levels }) => levels))}). Choose some of these.`,
  );
}
