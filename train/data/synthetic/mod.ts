/**
 * Training data without a download: reasoning tasks with worked solutions, and little stories.
 *
 * @module
 */
export {
  type GeneratedTask,
  generateTask,
  type Split,
  splitOf,
  storyAt,
  taskAt,
  type TaskOptions,
} from "./generate.ts";
export {
  type PretrainOptions,
  type PretrainRow,
  pretrainRow,
  type RlRow,
  rlRow,
  type SftRow,
  sftRow,
} from "./rows.ts";
export type { Problem, Task } from "./task.ts";
export { Draw } from "./draw.ts";
export { tasks } from "./tasks/mod.ts";
export { compactTemplate, compactTokens, trainSyntheticTokenizer } from "./tokenizer.ts";
