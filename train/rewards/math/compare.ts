/**
 * Whether two expressions mean the same.
 *
 * @module
 */
import { call, type Collection, type MathExpression, mentions, partsOf } from "./expression.ts";
import { matrixOf } from "./matrices.ts";
import { isSimpleName, sameRelation, valueOf } from "./relations.ts";
import { sameValue } from "./samples.ts";
import { isRealSet, sameRealSet } from "./sets.ts";

/** How strictly answers are compared. */
export interface CompareOptions {
  /**
   * Whether an answer may be a relation such as 1 < x < 2 where the expected one is the set (1, 2). It may not by default:
   * giving a question's inequality back would be right.
   */
  readonly relationsForSets?: boolean;
}

/** Sets of sets would be compared for ever: what takes more comparisons than this is not the same. */
const mostComparisons = 50_000;

/** How to compare, and how often it may still be done. */
interface Comparison extends CompareOptions {
  left: number;
}

/** Whether an answer means what was expected. */
export function sameExpression(
  gold: MathExpression,
  answer: MathExpression,
  options: CompareOptions = {},
): boolean {
  return same(gold, answer, { ...options, left: mostComparisons });
}

function same(gold: MathExpression, answer: MathExpression, comparison: Comparison): boolean {
  if (--comparison.left < 0) return false;
  const [a, b] = [withoutAlternatives(gold), withoutAlternatives(answer)];
  if (a.kind === "relation" || b.kind === "relation") return sameWithRelations(a, b, comparison);
  if (isRealSet(a) && isRealSet(b) && sameRealSet(a, b)) return true;
  if (a.kind === "collection" || b.kind === "collection") return sameCollection(a, b, comparison);
  return sameMatrix(a, b, comparison) || sameScalar(a, b);
}

/** a ± b is the list a + b, a − b. */
function withoutAlternatives(expression: MathExpression): MathExpression {
  if (expression.kind !== "call" || !mentions(expression, "plusMinus")) return expression;
  const choose = (part: MathExpression, minus: boolean): MathExpression => {
    if (part.kind !== "call") return part;
    const parts = part.arguments.map((argument) => choose(argument, minus));
    if (part.name !== "plusMinus") return call(part.name, ...parts);
    return call("add", parts[0], minus ? call("negate", parts[1]) : parts[1]);
  };
  const items = [choose(expression, false), choose(expression, true)];
  return { kind: "collection", open: "", close: "", items };
}

function sameWithRelations(
  a: MathExpression,
  b: MathExpression,
  comparison: Comparison,
): boolean {
  if (a.kind === "relation" && b.kind === "relation") {
    if (sameRelation(a, b, (x, y) => same(x, y, comparison))) return true;
  }
  const [goldValue, answerValue] = [valueOf(a), valueOf(b)];
  if (goldValue && answerValue) {
    // x = 5 and y = 5 say different things; x = 5 and 5 do not.
    const named = a.kind === "relation" && b.kind === "relation" &&
      isSimpleName(a.sides[0]) && isSimpleName(b.sides[0]) && !isMembership(a) && !isMembership(b);
    return !named && same(goldValue, answerValue, comparison);
  }
  const allowed = (a.kind === "relation" && !isMembership(a)) ||
    comparison.relationsForSets === true;
  const [left, right] = [goldValue ?? a, answerValue ?? b];
  return allowed && isRealSet(left) && isRealSet(right) && sameRealSet(left, right);
}

function isMembership(expression: MathExpression): boolean {
  return expression.kind === "relation" && expression.operators[0] === "in";
}

function sameCollection(a: MathExpression, b: MathExpression, comparison: Comparison): boolean {
  const sameItem: Same = (x, y) => same(x, y, comparison);
  if (a.kind === "matrix" || b.kind === "matrix") {
    const [matrix, other] = a.kind === "matrix" ? [a, b] : [b, a];
    const isVector = matrix.kind === "matrix" && matrix.rows.every((row) => row.length === 1);
    return isVector && other.kind === "collection" &&
      sameInOrder(partsOf(matrix), other.items, sameItem);
  }
  if (a.kind !== "collection" || b.kind !== "collection") {
    const [collection, other] = a.kind === "collection" ? [a, b] : [b, a];
    const { items, open } = collection as Collection;
    // 5/2 or 2.5
    return (open === "" || items.length === 1) && items.every((item) => sameItem(item, other));
  }
  const [first, second] = [spreadAssignment(a), spreadAssignment(b)];
  if (isOrdered(first) !== isOrdered(second) && (first.open === "{" || second.open === "{")) {
    return false;
  }
  if (!isOrdered(first) && !isOrdered(second)) {
    return sameInAnyOrder(first.items, second.items, sameItem);
  }
  const brackets = first.open === "" || second.open === "" ||
    (first.open === second.open && first.close === second.close);
  return brackets && sameInOrder(first.items, second.items, sameItem);
}

function isOrdered({ open }: Collection): boolean {
  return open === "(" || open === "[";
}

/** `a = 4, -8, -10` gives one name three values. */
function spreadAssignment(list: Collection): Collection {
  const [first, ...rest] = list.items;
  if (list.open !== "" || rest.some(({ kind }) => kind === "relation")) return list;
  const value = first && valueOf(first);
  return value ? { ...list, items: [value, ...rest] } : list;
}

type Same = (a: MathExpression, b: MathExpression) => boolean;

function sameInOrder(
  a: readonly MathExpression[],
  b: readonly MathExpression[],
  same: Same,
): boolean {
  return a.length === b.length && a.every((item, i) => same(item, b[i]));
}

/** As sets: what is repeated counts once. */
function sameInAnyOrder(
  a: readonly MathExpression[],
  b: readonly MathExpression[],
  same: Same,
): boolean {
  return a.every((item) => b.some((other) => same(item, other))) &&
    b.every((other) => a.some((item) => same(item, other)));
}

function sameMatrix(a: MathExpression, b: MathExpression, comparison: Comparison): boolean {
  const [left, right] = [matrixOf(a), matrixOf(b)];
  if (!left || !right) return false;
  return left.rows.length === right.rows.length &&
    left.rows.every((row, i) => sameInOrder(row, right.rows[i], (x, y) => same(x, y, comparison)));
}

/** Numbers and formulas. 28% is 0.28, and where only one side says percent it is 28 as well. */
function sameScalar(a: MathExpression, b: MathExpression): boolean {
  if (a.kind === "call" && b.kind === "call" && a.name === "ratio" && b.name === "ratio") {
    return sameRatio(a.arguments, b.arguments);
  }
  if (sameValue(a, b)) return true;
  const [bareA, bareB] = [withoutPercent(a), withoutPercent(b)];
  return (bareA === null) !== (bareB === null) && sameValue(bareA ?? a, bareB ?? b);
}

function withoutPercent(expression: MathExpression): MathExpression | null {
  if (expression.kind !== "call") return null;
  if (expression.name === "percent") return expression.arguments[0];
  if (expression.name !== "negate") return null;
  const inside = withoutPercent(expression.arguments[0]);
  return inside && call("negate", inside);
}

/** 7 : 32 equals 14 : 64. */
function sameRatio(a: readonly MathExpression[], b: readonly MathExpression[]): boolean {
  return a.length === b.length &&
    a.slice(1).every((_, i) =>
      sameValue(call("multiply", a[i], b[i + 1]), call("multiply", a[i + 1], b[i]))
    );
}
