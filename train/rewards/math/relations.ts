/**
 * Equations and inequalities.
 *
 * @module
 */
import {
  call,
  constants,
  type MathExpression,
  type Relation,
  type RelationChain,
} from "./expression.ts";
import { sameUpToFactor, sameValue } from "./samples.ts";

/** The relation seen from the other side. */
const reversed: Readonly<Record<Relation, Relation>> = {
  "=": "=",
  "!=": "!=",
  "<": ">",
  "<=": ">=",
  ">": "<",
  ">=": "<=",
  in: "in",
};

/** What can stand before "=" to give a value a name: x, x₁, f(x), |AB|, (p, q), a ratio of names. */
export function isSimpleName(expression: MathExpression): boolean {
  switch (expression.kind) {
    case "symbol":
      return !constants.has(expression.name);
    case "collection":
      return expression.items.every(isSimpleName);
    case "call": {
      const { name } = expression;
      const isName = name === "abs" || name === "ratio" || name === "prime" ||
        name === "multiply" ||
        name.startsWith("function ");
      // AB is a line, not a product.
      return isName && expression.arguments.every(isSimpleName);
    }
    default:
      return false;
  }
}

/** What a chain of equations says that its left side is, or a membership: the last side; null for other relations. */
export function valueOf(expression: MathExpression): MathExpression | null {
  if (expression.kind !== "relation") return expression;
  const { sides, operators } = expression;
  if (!isSimpleName(sides[0])) return null;
  const isAssignment = operators.every((operator) => operator === "=");
  if (!isAssignment && !(operators.length === 1 && operators[0] === "in")) return null;
  return sides.at(-1)!;
}

/** Whether two relations say the same: side by side, turned around, or after multiplying by a number. */
export function sameRelation(
  a: RelationChain,
  b: RelationChain,
  same: (a: MathExpression, b: MathExpression) => boolean,
): boolean {
  const [first, second] = [firstAndLast(a), firstAndLast(b)];
  if (sidesAgree(first, second, same) || sidesAgree(first, turned(second), same)) return true;
  if (first.operators.length !== 1 || second.operators.length !== 1) return false;
  const [left, right] = [difference(first), difference(second)];
  if (!left || !right) return false;
  const [operator, other] = [first.operators[0], second.operators[0]];
  if (operator === "=" || operator === "!=") {
    return operator === other && sameUpToFactor(left, right, 0);
  }
  return (operator === other && sameUpToFactor(left, right, 1)) ||
    (operator === reversed[other] && sameUpToFactor(left, right, -1));
}

/** x = 5 + 6 = 11 says x = 11. */
function firstAndLast(chain: RelationChain): RelationChain {
  if (chain.operators.length < 2 || chain.operators.some((operator) => operator !== "=")) {
    return chain;
  }
  return { ...chain, sides: [chain.sides[0], chain.sides.at(-1)!], operators: ["="] };
}

function turned({ kind, sides, operators }: RelationChain): RelationChain {
  return {
    kind,
    sides: sides.toReversed(),
    operators: operators.toReversed().map((operator) => reversed[operator]),
  };
}

function sidesAgree(
  a: RelationChain,
  b: RelationChain,
  same: (a: MathExpression, b: MathExpression) => boolean,
): boolean {
  return a.sides.length === b.sides.length &&
    a.operators.every((operator, i) => operator === b.operators[i]) &&
    a.sides.every((side, i) => same(side, b.sides[i]));
}

/** left − right, which is compared with 0; null where the sides are no formulas, or say nothing. */
function difference({ sides: [left, right], operators }: RelationChain): MathExpression | null {
  const isFormula = (side: MathExpression): boolean =>
    side.kind !== "collection" && side.kind !== "matrix";
  if (operators[0] === "in" || !isFormula(left) || !isFormula(right)) return null;
  const result = call("add", left, call("negate", right));
  const zero = call("add", left, call("negate", left));
  return sameValue(result, zero) ? null : result;
}
