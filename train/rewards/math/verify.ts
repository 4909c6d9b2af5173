/**
 * Whether a mathematical answer is right.
 *
 * @module
 */
import { type CompareOptions, sameExpression } from "./compare.ts";
import type { MathExpression } from "./expression.ts";
import { comparableText, extractAnswer } from "./extract.ts";
import { parseMath } from "./parser.ts";
import { MathSyntaxError } from "./tokens.ts";

/**
 * Whether two formulas, without anything around them, mean the same. `gold` is the expected one: where it names a value,
 * as in x = 5, the value alone is enough.
 *
 * @example
 * ```ts
 * import { sameMath } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * assert.ok(sameMath("\\frac{x+2}{7}", "x/7 + 2/7"));
 * assert.ok(!sameMath("(-1, 2] \\cup (2, 3)", "[-1, 3)"));
 * ```
 */
export function sameMath(gold: string, answer: string, options: CompareOptions = {}): boolean {
  const [goldText, answerText] = [comparableText(gold), comparableText(answer)];
  if (goldText !== "" && goldText === answerText) return true;
  const answers = readings(answer);
  return readings(gold).some((expected) =>
    answers.some((given) => sameExpression(expected, given, options))
  );
}

/**
 * Whether the final answer of a completion is the expected one, which may stand in a text as well.
 * Texts without an answer are never right.
 *
 * @example
 * ```ts
 * import { verifyMath } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * assert.ok(verifyMath("#### 1,200", "It is $\\boxed{1200}$."));
 * assert.ok(!verifyMath("1200", "It is $\\boxed{120}$."));
 * ```
 */
export function verifyMath(
  gold: string,
  completion: string,
  options: CompareOptions = {},
): boolean {
  const [expected, given] = [extractAnswer(gold), extractAnswer(completion)];
  return expected !== null && given !== null && sameMath(expected, given, options);
}

/** What a formula may say: `1,234` is a number, or a list of two. */
function readings(formula: string): MathExpression[] {
  const results: MathExpression[] = [];
  for (const grouped of /\d,\d{3}/.test(formula) ? [true, false] : [false]) {
    try {
      results.push(parseMath(formula, { grouped }));
    } catch (error) {
      if (!(error instanceof MathSyntaxError)) throw error;
    }
  }
  return results;
}
