/**
 * Lists of numbers.
 *
 * @module
 */
import type { Draw } from "../draw.ts";
import type { Problem, Task } from "../task.ts";
import { runningTotals } from "./chain.ts";

type Operation = (list: readonly number[], draw: Draw) => Problem;

/**
 * Three or five digits (levels 1 and 2), four or five numbers of two digits (levels 3 and 4), no first digit twice.
 * Carefully, one number after the other.
 */
export const lists: Task = {
  name: "lists",
  levels: 4,
  problem(level, draw) {
    const first = draw.several([3, 5, 4, 5][level - 1], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const list = level < 3 ? first : first.map((digit) => 10 * digit + draw.integer(0, 9));
    return draw.pick(operations)(list, draw);
  },
};

const sort: Operation = (list, draw) => {
  const rising = draw.chance(0.5);
  const sorted = list.toSorted((a, b) => rising ? a - b : b - a), answer = sorted.join(",");
  const wording = draw.pick(
    rising ? ["Sort", "Order upwards"] : ["Sort downwards", "Order downwards"],
  );
  // What is left, and what is taken from it: "5,2,9>2", "5,9>5", "9>9".
  const careful = sorted.map((next, i) =>
    `${list.filter((value) => !sorted.slice(0, i).includes(value)).join(",")}>${next}`
  );
  return {
    question: `${wording} [${list.join(",")}].`,
    content: `${rising ? "rising" : "falling"}(${list.join(",")})`,
    careful: [...careful, answer],
    brief: [answer],
    answer,
  };
};

const extreme: Operation = (list, draw) => {
  const largest = draw.chance(0.5);
  const best = (values: readonly number[]): number => (largest ? Math.max : Math.min)(...values);
  const which = draw.pick(largest ? ["largest", "greatest"] : ["smallest", "least"]);
  const answer = String(best(list));
  return {
    question: `What is the ${which} number in [${list.join(",")}]?`,
    content: `${largest ? "max" : "min"}(${list.join(",")})`,
    // The best so far after each number: "5>5,2>5,9>9".
    careful: [list.map((value, i) => `${value}>${best(list.slice(0, i + 1))}`).join(","), answer],
    brief: [answer],
    answer,
  };
};

const sum: Operation = (list, draw) => {
  const { steps, total } = runningTotals(
    list.map((value, i) => i === 0 ? `${value}` : `+${value}`),
  );
  const wording = draw.pick(["Add up", "Sum", "Total"]);
  return {
    question: `${wording} [${list.join(",")}].`,
    content: `sum(${list.join(",")})`,
    careful: steps,
    brief: [`${list.join("+")}=${total}`],
    answer: String(total),
  };
};

const filter: Operation = (list, draw) => {
  const border = draw.pick(list), above = draw.chance(0.5);
  const kept = list.filter((value) => value === border || (value > border) === above);
  const answer = kept.join(",");
  const wording = draw.pick(["Keep", "List"]), side = above ? "at least" : "at most";
  return {
    question: `${wording} what is ${side} ${border} in [${list.join(",")}].`,
    content: `filter(${side} ${border};${list.join(",")})`,
    careful: [
      list.map((value) => `${value}${kept.includes(value) ? " yes" : " no"}`).join(","),
      answer,
    ],
    brief: [answer],
    answer,
  };
};

const operations = [sort, extreme, sum, filter];
