/**
 * The table of contents of reasoning tasks.
 *
 * @module
 */
import type { Task } from "../task.ts";
import { addition } from "./addition.ts";
import { chain } from "./chain.ts";
import { comparison } from "./comparison.ts";
import { counting } from "./counting.ts";
import { lists } from "./lists.ts";
import { multiplication } from "./multiplication.ts";
import { strings } from "./strings.ts";
import { subtraction } from "./subtraction.ts";
import { wordProblem } from "./word_problem.ts";

/** Every task. */
export const tasks: readonly Task[] = [
  addition,
  subtraction,
  multiplication,
  chain,
  comparison,
  counting,
  wordProblem,
  strings,
  lists,
];
