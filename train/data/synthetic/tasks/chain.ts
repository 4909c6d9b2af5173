/**
 * Sums and differences of several small numbers.
 *
 * @module
 */
import type { Draw } from "../draw.ts";
import type { Task } from "../task.ts";

const wordings: readonly ((expression: string) => string)[] = [
  (expression) => `What is ${expression}?`,
  (expression) => `Compute ${expression}.`,
  (expression) => `Work out ${expression}.`,
  (expression) => `Evaluate ${expression}.`,
];

/** From three terms (level 1) to six (level 4). Carefully, one operation after the other. */
export const chain: Task = {
  name: "chain",
  levels: 4,
  problem(level, draw) {
    const terms = signedTerms(level + 2, draw);
    const content = terms.join("").slice(1); // without the sign of the first term
    const { steps, total } = runningTotals(terms);
    return {
      question: draw.pick(wordings)(content),
      content,
      careful: steps,
      brief: [`${content}=${total}`],
      answer: String(total),
    };
  },
};

/** Terms such as "+7" and "-3", whose running total never is negative. */
function signedTerms(count: number, draw: Draw): string[] {
  let total = 0;
  return Array.from({ length: count }, (_, i) => {
    const term = draw.integer(i === 0 ? 5 : 1, i === 0 ? 19 : 9);
    const negative = i > 0 && term <= total && draw.chance(0.4);
    total += negative ? -term : term;
    return `${negative ? "-" : "+"}${term}`;
  });
}

/** "12+7=19", "19-4=15", … for terms with their signs; and the total. */
export function runningTotals(terms: readonly string[]): { steps: string[]; total: number } {
  let total = Number(terms[0]);
  const steps = terms.slice(1).map((term) => {
    const before = total;
    total += Number(term);
    return `${before}${term}=${total}`;
  });
  return { steps, total };
}
