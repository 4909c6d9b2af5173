/**
 * Sets of real numbers: intervals, their unions, and what inequalities describe.
 *
 * @module
 */
import { real } from "./complex.ts";
import { evaluate } from "./evaluate.ts";
import { type MathExpression, type Relation, variablesOf } from "./expression.ts";

/** Whether an expression describes a set of real numbers: an interval, a union, or a relation of one variable. */
export function isRealSet(expression: MathExpression): boolean {
  switch (expression.kind) {
    case "call":
      return setCalls.has(expression.name) && expression.arguments.every(isRealSetOrPoints);
    case "collection":
      return isInterval(expression);
    case "relation": {
      const ordering = expression.operators.every((operator) =>
        operator !== "in" && operator !== "="
      );
      // 0 < f(x) < 1 says that f(x) is in an interval, 1 ≤ |z| ≤ 3 that z is in two.
      return ordering && (middleName(expression) !== null || variablesOf(expression).length === 1);
    }
    case "symbol":
      return isAllReals(expression);
    default:
      return false;
  }
}

const setCalls: ReadonlySet<string> = new Set(["union", "intersection", "difference"]);

function isRealSetOrPoints(expression: MathExpression): boolean {
  return isRealSet(expression) || (isPoints(expression) && endsOf(expression).every(isNumber));
}

function isAllReals(expression: MathExpression): boolean {
  return expression.kind === "symbol" && expression.name === "numbers R";
}

function isPoints(expression: MathExpression): boolean {
  return expression.kind === "collection" && expression.open === "{";
}

function isInterval(expression: MathExpression): boolean {
  if (expression.kind !== "collection" || expression.items.length !== 2) return false;
  if (expression.open !== "(" && expression.open !== "[") return false;
  const [start, end] = expression.items.map(valueOfEnd);
  // Everything else in brackets is a point of the plane.
  return start < end || (start === end && expression.open === "[" && expression.close === "]");
}

function isNumber(value: number): boolean {
  return !Number.isNaN(value);
}

/** The opaque middle of `0 < f(x) < 1`, whose set is told by itself. */
function middleName(expression: MathExpression): MathExpression | null {
  if (expression.kind !== "relation" || expression.sides.length !== 3) return null;
  const middle = expression.sides[1];
  return middle.kind === "call" && middle.name.startsWith("function ") ? middle : null;
}

/** Whether two sets have the same members: compared at all ends, between them, and around. */
export function sameRealSet(a: MathExpression, b: MathExpression): boolean {
  const ends = [...new Set([...endsOf(a), ...endsOf(b)].filter(Number.isFinite))]
    .toSorted((x, y) => x - y);
  // Ends that are the same but for rounding are one.
  const distinct = ends.filter((x, i) =>
    i === 0 || x - ends[i - 1] > 1e-9 * Math.max(1, Math.abs(x))
  );
  const points = [...distinct];
  for (let i = 1; i < distinct.length; i++) {
    for (const share of [0.03, 0.31, 0.5, 0.77, 0.98]) {
      points.push(distinct[i - 1] + share * (distinct[i] - distinct[i - 1]));
    }
  }
  const [low, high] = [distinct[0] ?? 0, distinct.at(-1) ?? 0];
  for (const distance of [0.01, 0.4, 1.3, 3.7, 11, 101, 1009, 1e6]) {
    points.push(low - distance, high + distance);
  }
  return points.every((x) => contains(a, x) === contains(b, x));
}

/** Numbers at which membership may change. */
function endsOf(expression: MathExpression): number[] {
  switch (expression.kind) {
    case "call":
      return setCalls.has(expression.name)
        ? expression.arguments.flatMap(endsOf)
        : expression.arguments.flatMap(endsOf).concat(constantOf(expression));
    case "collection":
      return expression.items.map(valueOfEnd);
    case "relation":
      return expression.sides.flatMap((side) => [...endsOf(side), ...constantOf(side)])
        .flatMap((end) => [end, -end]);
    case "number":
      return [expression.value.toNumber()];
    default:
      return [];
  }
}

function constantOf(expression: MathExpression): number[] {
  const value = valueOfEnd(expression);
  return isNumber(value) ? [value] : [];
}

/** The value of an expression without variables, NaN for others. */
function valueOfEnd(expression: MathExpression): number {
  const { re, im } = evaluate(expression, () => real(NaN));
  return im === 0 ? re : NaN;
}

const holds: Readonly<Record<Exclude<Relation, "in">, (a: number, b: number) => boolean>> = {
  "=": (a, b) => near(a, b),
  "!=": (a, b) => !near(a, b),
  "<": (a, b) => a < b && !near(a, b),
  "<=": (a, b) => a < b || near(a, b),
  ">": (a, b) => a > b && !near(a, b),
  ">=": (a, b) => a > b || near(a, b),
};

function near(a: number, b: number): boolean {
  return a === b || Math.abs(a - b) <= Math.min(1e-10 * Math.max(1, Math.abs(a), Math.abs(b)), 1);
}

function contains(set: MathExpression, x: number): boolean {
  if (isAllReals(set)) return true;
  switch (set.kind) {
    case "call": {
      const [left, right] = set.arguments.map((part) => contains(part, x));
      if (set.name === "union") return left || right;
      return set.name === "intersection" ? left && right : left && !right;
    }
    case "collection": {
      const ends = set.items.map(valueOfEnd);
      if (isPoints(set)) return ends.some((end) => near(end, x));
      const afterStart = set.open === "[" ? holds[">="] : holds[">"];
      const beforeEnd = set.close === "]" ? holds["<="] : holds["<"];
      return afterStart(x, ends[0]) && beforeEnd(x, ends[1]);
    }
    case "relation": {
      const middle = middleName(set);
      const values = set.sides.map((side) =>
        side === middle ? x : evaluate(side, () => real(x)).re
      );
      return set.operators.every((operator, i) =>
        operator !== "in" && holds[operator](values[i], values[i + 1])
      );
    }
    default:
      return false;
  }
}
