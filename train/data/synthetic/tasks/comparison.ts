/**
 * Which of two numbers is larger or smaller.
 *
 * @module
 */
import type { Draw } from "../draw.ts";
import { digits, type Problem, type Task } from "../task.ts";

/** Two numbers of two digits (level 1), of three (level 2), two sums (level 3). Carefully, digit by digit or sum by sum. */
export const comparison: Task = {
  name: "comparison",
  levels: 3,
  problem(level, draw) {
    return level < 3 ? compareNumbers(level + 1, draw) : compareSums(draw);
  },
};

function compareNumbers(width: number, draw: Draw): Problem {
  const larger = draw.chance(0.5);
  const a = draw.integer(10 ** (width - 1), 10 ** width - 1);
  const b = near(a, width, draw);
  const [other, best] = (a > b) === larger ? [b, a] : [a, b];
  const conclusion = `${other}${larger ? "<" : ">"}${best}`;
  return {
    question: draw.pick(numberWordings)(larger ? "larger" : "smaller", a, b),
    content: `${larger ? "max" : "min"}(${a},${b})`,
    careful: [...digitByDigit(a, b, width), conclusion],
    brief: [conclusion],
    answer: String(best),
  };
}

const numberWordings: readonly ((which: string, a: number, b: number) => string)[] = [
  (which, a, b) => `Which is ${which}, ${a} or ${b}?`,
  (which, a, b) => `Name the ${which} of ${a} and ${b}.`,
  (which, a, b) => `${a} or ${b}: which one is ${which}?`,
];

/** Another number of as many digits, which often shares the first ones. */
function near(a: number, width: number, draw: Draw): number {
  const shared = 10 ** draw.integer(1, width);
  const low = Math.max(10 ** (width - 1), a - a % shared);
  const high = a - a % shared + shared - 1;
  const b = draw.integer(low, high - 1);
  return b < a ? b : b + 1;
}

/** From the first digits on, to those that differ: "4=4", "8>7". */
function digitByDigit(a: number, b: number, width: number): string[] {
  const [left, right] = [digits(a, width).reverse(), digits(b, width).reverse()];
  const differs = left.findIndex((digit, i) => digit !== right[i]);
  return left.slice(0, differs + 1).map((digit, i) =>
    `${digit}${digit === right[i] ? "=" : digit < right[i] ? "<" : ">"}${right[i]}`
  );
}

function compareSums(draw: Draw): Problem {
  const larger = draw.chance(0.5);
  const [a, b] = [draw.integer(11, 59), draw.integer(2, 9)];
  const sum = a + b;
  const d = draw.integer(2, 9);
  const c = Math.max(1, sum - d + draw.pick([-4, -3, -2, -1, 1, 2, 3, 4]));
  const [other, best] = (sum > c + d) === larger ? [c + d, sum] : [sum, c + d];
  const conclusion = `${other}${larger ? "<" : ">"}${best}`;
  return {
    question: draw.pick(sumWordings)(larger ? "larger" : "smaller", `${a}+${b}`, `${c}+${d}`),
    content: `${larger ? "max" : "min"}(${a}+${b},${c}+${d})`,
    careful: [`${a}+${b}=${sum}`, `${c}+${d}=${c + d}`, conclusion],
    brief: [conclusion],
    answer: String(best),
  };
}

const sumWordings: readonly ((which: string, a: string, b: string) => string)[] = [
  (which, a, b) => `Give the value of the ${which} sum: ${a} or ${b}?`,
  (which, a, b) => `Of ${a} and ${b}, what is the ${which} value?`,
];
