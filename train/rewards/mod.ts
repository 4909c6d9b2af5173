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
