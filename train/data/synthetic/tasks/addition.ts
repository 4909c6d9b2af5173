/**
 * The sum of two numbers.
 *
 * @module
 */
import { digits, numberOf, type Task } from "../task.ts";

const wordings: readonly ((sum: string) => string)[] = [
  (sum) => `What is ${sum}?`,
  (sum) => `Compute ${sum}.`,
  (sum) => `Add: ${sum}`,
  (sum) => `Find the sum ${sum}.`,
];

/** From two digits and one digit (level 1) to two numbers of four digits (level 4). Carefully, column by column. */
export const addition: Task = {
  name: "addition",
  levels: 4,
  problem(level, draw) {
    const width = Math.max(2, level);
    const [a, b] = [numberOf(width, draw), numberOf(level, draw)];
    const content = `${a}+${b}`, answer = String(a + b);
    return {
      question: draw.pick(wordings)(content),
      content,
      careful: [...columns(a, b, width), answer],
      brief: [`${content}=${answer}`],
      answer,
    };
  },
};

/** Ones first: the two digits, and the one that is carried. */
function columns(a: number, b: number, width: number): string[] {
  const [left, right] = [digits(a, width), digits(b, width)];
  let carry = 0;
  return left.map((digit, i) => {
    const sum = digit + right[i] + carry;
    const line = `${digit}+${right[i]}${carry ? "+1" : ""}=${sum}`;
    carry = sum >= 10 ? 1 : 0;
    return line;
  });
}
