/**
 * Words, spelled letter by letter.
 *
 * @module
 */
import type { Draw } from "../draw.ts";
import type { Problem, Task } from "../task.ts";

const letters = Array.from("abcdefghiklmnoprstuw");

type Operation = (word: readonly string[], draw: Draw) => Problem;

/** Three or four letters (level 1), five or six (level 2), seven or eight (level 3); carefully, with each letter numbered or changed alone. */
export const strings: Task = {
  name: "strings",
  levels: 3,
  problem(level, draw) {
    const word = draw.several(2 * level + draw.integer(1, 2), letters);
    return draw.pick(operations)(word, draw);
  },
};

function spell(word: readonly string[]): string {
  return word.join("-");
}

/** "1c,2a,3t". */
function numbered(word: readonly string[]): string[] {
  return word.map((letter, i) => `${i + 1}${letter}`);
}

const repeat: Operation = (word, draw) => {
  const answer = spell(word);
  const wording = draw.pick(["Copy", "Repeat", "Write again"]);
  return {
    question: `${wording} (${answer}).`,
    content: `repeat(${answer})`,
    careful: [answer],
    brief: [answer],
    answer,
  };
};

const reverse: Operation = (word, draw) => {
  const answer = spell(word.toReversed());
  const wording = draw.pick(["Reverse", "Write backwards", "Turn around"]);
  return {
    question: `${wording} (${spell(word)}).`,
    content: `reverse(${spell(word)})`,
    careful: [numbered(word).join(","), numbered(word).toReversed().join(","), answer],
    brief: [answer],
    answer,
  };
};

const letterAt: Operation = (word, draw) => {
  const place = draw.integer(1, word.length), answer = word[place - 1];
  const wording = draw.pick(["What is", "Name", "Give"]);
  return {
    question: `${wording} letter ${place} of (${spell(word)}).`,
    content: `at(${place};${spell(word)})`,
    careful: [numbered(word.slice(0, place)).join(","), answer],
    brief: [answer],
    answer,
  };
};

const lastLetters: Operation = (word, draw) => {
  const count = draw.integer(1, 2), answer = spell(word.slice(-count));
  const which = count === 1 ? "the last letter" : "the last two letters";
  const wording = draw.pick(["Write", "Name", "Give"]);
  return {
    question: `${wording} ${which} of (${spell(word)}).`,
    content: `last(${count};${spell(word)})`,
    careful: [numbered(word).join(","), answer],
    brief: [answer],
    answer,
  };
};

const replace: Operation = (word, draw) => {
  const from = draw.pick(word), to = draw.pick(letters.filter((letter) => letter !== from));
  const changed = word.map((letter) => letter === from ? to : letter), answer = spell(changed);
  const wording = draw.pick(["Replace", "Change"]);
  return {
    question: `${wording} "${from}" to "${to}" in (${spell(word)}).`,
    content: `replace(${from},${to};${spell(word)})`,
    careful: [word.map((letter, i) => `${letter}>${changed[i]}`).join(","), answer],
    brief: [answer],
    answer,
  };
};

const operations = [repeat, reverse, letterAt, lastLetters, replace];
