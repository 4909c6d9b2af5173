/**
 * What a model is worth.
 *
 * @module
 */
export { answerRow } from "./answer_rows.ts";
export {
  type EvalOptions,
  type EvalReport,
  type EvalTask,
  evaluate,
  type JudgedCompletion,
  type ThinkingMode,
} from "./evaluate.ts";
export { perplexityOf, type PerplexityReport } from "./perplexity.ts";
export { type EncodedPrompt, PromptCoder } from "./prompts.ts";
export {
  bootstrapMean,
  type BootstrapOptions,
  type Estimate,
  passAtK,
  wilsonInterval,
} from "./statistics.ts";
export { evalTable } from "./table.ts";
