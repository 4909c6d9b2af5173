/**
 * The product of a number and a digit.
 *
 * @module
 */
import { digits, type Task } from "../task.ts";

const wordings: readonly ((product: string) => string)[] = [
  (product) => `What is ${product}?`,
  (product) => `Compute ${product}.`,
  (product) => `Multiply: ${product}`,
  (product) => `Find the product ${product}.`,
];

const ranges: readonly { readonly number: [number, number]; readonly digit: [number, number] }[] = [
  { number: [11, 49], digit: [2, 5] },
  { number: [12, 99], digit: [2, 9] },
  { number: [101, 999], digit: [2, 9] },
];

/** Two digits and a small digit (level 1), two digits and one (level 2), three and one (level 3). Carefully, digit by digit. */
export const multiplication: Task = {
  name: "multiplication",
  levels: ranges.length,
  problem(level, draw) {
    const range = ranges[level - 1];
    const a = draw.integer(...range.number), b = draw.integer(...range.digit);
    const content = `${a}*${b}`, answer = String(a * b);
    return {
      question: draw.pick(wordings)(content),
      content,
      careful: [...columns(a, b), answer],
      brief: [`${content}=${answer}`],
      answer,
    };
  },
};

/** Ones first: digit times b, and what is carried. */
function columns(a: number, b: number): string[] {
  let carry = 0;
  return digits(a).map((digit) => {
    const product = digit * b + carry;
    const line = `${digit}*${b}${carry ? `+${carry}` : ""}=${product}`;
    carry = Math.floor(product / 10);
    return line;
  });
}
