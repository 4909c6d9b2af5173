/**
 * What mathematical text means, as a tree.
 *
 * @module
 */
import type { Rational } from "./rational.ts";

/** How the two sides of a relation stand to each other. */
export type Relation = "=" | "!=" | "<" | "<=" | ">" | ">=" | "in";

/** A number, a formula, or what formulas are put into. */
export type MathExpression =
  | { readonly kind: "number"; readonly value: Rational; readonly decimal: boolean }
  | { readonly kind: "symbol"; readonly name: string }
  | {
    /** An operation or function: add, multiply, divide, power, negate, plusMinus, percent, sqrt, sin … */
    readonly kind: "call";
    readonly name: string;
    readonly arguments: readonly MathExpression[];
  }
  | {
    /** Items between brackets: `(1, 2)`, `[0, 1)`, or none for a bare list `1, 2`; `{` for a set. */
    readonly kind: "collection";
    readonly open: "" | "(" | "[" | "{";
    readonly close: "" | ")" | "]" | "}";
    readonly items: readonly MathExpression[];
  }
  | { readonly kind: "matrix"; readonly rows: readonly (readonly MathExpression[])[] }
  | {
    /** A chain: `0 < x <= 1` has three sides and two operators. */
    readonly kind: "relation";
    readonly sides: readonly MathExpression[];
    readonly operators: readonly Relation[];
  };

/** Items between brackets. */
export type Collection = Extract<MathExpression, { kind: "collection" }>;

/** A chain of relations. */
export type RelationChain = Extract<MathExpression, { kind: "relation" }>;

/** An operation or function of arguments. */
export function call(name: string, ...operands: readonly MathExpression[]): MathExpression {
  return { kind: "call", name, arguments: operands };
}

/** A variable, or a constant by its name. */
export function symbol(name: string): MathExpression {
  return { kind: "symbol", name };
}

/** Items without brackets. */
export function bareList(items: readonly MathExpression[]): Collection {
  return { kind: "collection", open: "", close: "", items };
}

/** Expressions directly inside another one. */
export function partsOf(expression: MathExpression): readonly MathExpression[] {
  switch (expression.kind) {
    case "number":
    case "symbol":
      return [];
    case "call":
      return expression.arguments;
    case "collection":
      return expression.items;
    case "matrix":
      return expression.rows.flat();
    case "relation":
      return expression.sides;
  }
}

/** Symbols that stand for numbers of their own. */
export const constants: ReadonlySet<string> = new Set(["pi", "e", "i", "infinity"]);

/** The variables of an expression, in order of appearance. */
export function variablesOf(expression: MathExpression): string[] {
  const found = new Set<string>();
  const visit = (part: MathExpression): void => {
    if (part.kind === "symbol" && !constants.has(part.name)) found.add(part.name);
    partsOf(part).forEach(visit);
  };
  visit(expression);
  return [...found];
}

/** Whether an expression has a symbol or call of that name anywhere. */
export function mentions(expression: MathExpression, name: string): boolean {
  if ("name" in expression && expression.name === name) return true;
  return partsOf(expression).some((part) => mentions(part, name));
}
