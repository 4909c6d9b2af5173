/**
 * The difference of two numbers.
 *
 * @module
 */
import { digits, numberOf, type Task } from "../task.ts";

const wordings: readonly ((difference: string) => string)[] = [
  (difference) => `What is ${difference}?`,
  (difference) => `Compute ${difference}.`,
  (difference) => `Subtract: ${difference}`,
  (difference) => `Find the difference ${difference}.`,
];

/** From two digits less one (level 1) to two numbers of four digits (level 4); never below zero. Carefully, column by column. */
export const subtraction: Task = {
  name: "subtraction",
  levels: 4,
  problem(level, draw) {
    const width = Math.max(2, level);
    const pair = [numberOf(width, draw), numberOf(level, draw)];
    const [a, b] = [Math.max(...pair), Math.min(...pair)];
    const content = `${a}-${b}`, answer = String(a - b);
    return {
      question: draw.pick(wordings)(content),
      content,
      careful: [...columns(a, b, width), answer],
      brief: [`${content}=${answer}`],
      answer,
    };
  },
};

/** Ones first: the upper digit, with ten borrowed where it needs them, less the lower digit and what was borrowed before. */
function columns(a: number, b: number, width: number): string[] {
  const [upper, lower] = [digits(a, width), digits(b, width)];
  let borrowed = 0;
  return upper.map((digit, i) => {
    const short = digit - lower[i] - borrowed < 0;
    const top = short ? digit + 10 : digit;
    const line = `${top}-${lower[i]}${borrowed ? "-1" : ""}=${top - lower[i] - borrowed}`;
    borrowed = short ? 1 : 0;
    return line;
  });
}
