/**
 * What a completion is worth.
 *
 * @module
 */
export { Rational } from "./math/rational.ts";
export type { CompareOptions } from "./math/compare.ts";
export type { Collection, MathExpression, Relation, RelationChain } from "./math/expression.ts";
export { extractAnswer } from "./math/extract.ts";
export { parseMath } from "./math/parser.ts";
export { MathSyntaxError, type TokenOptions } from "./math/tokens.ts";
export { sameMath, verifyMath } from "./math/verify.ts";
export {
  codeReward,
  type CodeRewardOptions,
  extractProgram,
  type ProgramLimits,
  type ProgramResult,
  runProgram,
} from "./code.ts";
export { type IsolatedReward, isolatedReward, type IsolatedRewardOptions } from "./isolated.ts";
export { type RewardOutcome, RewardPool, type RewardPoolOptions, runRewards } from "./pool.ts";
export {
  messagesOfRow,
  type Reward,
  type RewardCompletion,
  type RewardRow,
  thinkingOfRow,
} from "./reward.ts";
export type { SandboxLimits } from "./sandbox.ts";
export {
  choiceReward,
  exactReward,
  extractChoice,
  formatReward,
  linearLengthPenalty,
  mathReward,
  preferenceSum,
  type RewardCombination,
  type RewardShape,
  shortAnswers,
  verifiedProduct,
} from "./verifiers.ts";
