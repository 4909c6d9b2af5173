/**
 * How often something occurs in a list or a word.
 *
 * @module
 */
import type { Draw } from "../draw.ts";
import { animals, colours } from "../lexicon.ts";
import type { Task } from "../task.ts";

const letters = Array.from("abcdefghiklmnoprstuw");

const wordings: readonly ((item: string, list: string) => string)[] = [
  (item, list) => `How many times is "${item}" in [${list}]?`,
  (item, list) => `Count "${item}" in [${list}].`,
  (item, list) => `How often does "${item}" occur in [${list}]?`,
];

/** Three or four items (level 1) to nine or ten (level 4). Carefully, with the count so far after each item. */
export const counting: Task = {
  name: "counting",
  levels: 4,
  problem(level, draw) {
    const length = 2 * level + draw.integer(1, 2);
    const items = repetitive(length, draw.pick([letters, colours, animals]), draw);
    const wanted = draw.pick(items), list = items.join(",");
    const answer = String(items.filter((item) => item === wanted).length);
    return {
      question: draw.pick(wordings)(wanted, list),
      content: `count(${wanted};${list})`,
      careful: [tally(items, wanted), answer],
      brief: [`${wanted}=${answer}`],
      answer,
    };
  },
};

/** Items of a few kinds. */
function repetitive(length: number, kinds: readonly string[], draw: Draw): string[] {
  const few = draw.several(3, kinds);
  return Array.from({ length }, () => draw.pick(few));
}

/** "a1,b1,a2": each item with the count so far. */
function tally(items: readonly string[], wanted: string): string {
  let count = 0;
  return items.map((item) => `${item}${item === wanted ? ++count : count}`).join(",");
}
