/**
 * How many letters of a word, or items of a list, are of some kind.
 *
 * @module
 */
import type { Draw } from "../draw.ts";
import { animals, colours } from "../lexicon.ts";
import type { Problem, Task } from "../task.ts";

const vowels = "aeiou";
const letters = Array.from("abcdefghiklmnoprstuw");

/** Three or four items (level 1) to nine or ten (level 4). Carefully, with the count so far after each item. */
export const counting: Task = {
  name: "counting",
  levels: 4,
  problem(level, draw) {
    const length = 2 * level + draw.integer(1, 2);
    return draw.pick([countVowels, countRepeats])(length, draw);
  },
};

const vowelWordings: readonly ((word: string) => string)[] = [
  (word) => `How many vowels are in (${word})?`,
  (word) => `Count the vowels in (${word}).`,
];

function countVowels(length: number, draw: Draw): Problem {
  const word = draw.several(length, letters), spelled = word.join("-");
  return {
    question: draw.pick(vowelWordings)(spelled),
    content: `vowels(${spelled})`,
    ...tally(word, (letter) => vowels.includes(letter)),
  };
}

const repeatWordings: readonly ((item: string, list: string) => string)[] = [
  (item, list) => `How many times is "${item}" in [${list}]?`,
  (item, list) => `Count "${item}" in [${list}].`,
  (item, list) => `How often does "${item}" occur in [${list}]?`,
];

function countRepeats(length: number, draw: Draw): Problem {
  const few = draw.several(3, draw.pick([letters, colours, animals]));
  const items = Array.from({ length }, () => draw.pick(few));
  const wanted = draw.pick(few), list = items.join(",");
  return {
    question: draw.pick(repeatWordings)(wanted, list),
    content: `count(${wanted};${list})`,
    ...tally(items, (item) => item === wanted),
  };
}

/** Carefully "k0,a1,t1,o2": each item with the count so far; briefly, the items that count. */
function tally(
  items: readonly string[],
  counts: (item: string) => boolean,
): Pick<Problem, "careful" | "brief" | "answer"> {
  let count = 0;
  const careful = items.map((item) => `${item}${counts(item) ? ++count : count}`).join(",");
  const answer = String(count);
  return { careful: [careful, answer], brief: [`count=${answer}`], answer };
}
