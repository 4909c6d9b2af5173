/**
 * Little stories about numbers of things.
 *
 * @module
 */
import type { Draw } from "../draw.ts";
import { people, type Person, things } from "../lexicon.ts";
import type { Task } from "../task.ts";
import { runningTotals } from "./chain.ts";

/** A sentence in which somebody gets or loses `count` things. */
type Event = (who: Person, count: number, things: string) => string;

const gains: readonly Event[] = [
  ({ subject }, count) => `${capital(subject)} finds ${count} more.`,
  ({ subject }, count, things) => `${capital(subject)} buys ${count} ${things}.`,
  ({ object }, count, things) => `A friend gives ${object} ${count} ${things}.`,
  ({ subject }, count) => `Then ${subject} gets ${count} more.`,
];

const losses: readonly Event[] = [
  ({ subject }, count) => `${capital(subject)} loses ${count}.`,
  ({ subject }, count) => `${capital(subject)} gives away ${count}.`,
  ({ subject }, count, things) => `Then ${subject} sells ${count} ${things}.`,
  ({ possessive }, count) => `${capital(possessive)} friend takes ${count}.`,
];

const questions: readonly ((who: Person, things: string) => string)[] = [
  ({ name }, things) => `How many ${things} does ${name} have now?`,
  ({ subject }) => `How many are there in the end? Count what ${subject} has.`,
  ({ subject }, things) => `How many ${things} does ${subject} have?`,
];

/** One event (level 1) to four (level 4). Carefully, one event after the other. */
export const wordProblem: Task = {
  name: "word_problem",
  levels: 4,
  problem(level, draw) {
    const who = draw.pick(people), what = draw.pick(things);
    const start = draw.integer(6, 29);
    const story = [`${who.name} has ${start} ${what}.`], terms = [`${start}`];
    for (const { sentence, term } of events(level, start, who, what, draw)) {
      story.push(sentence);
      terms.push(term);
    }
    const { steps, total } = runningTotals(terms);
    return {
      question: [...story, draw.pick(questions)(who, what)].join(" "),
      content: `${what}:${terms.join("")}`,
      careful: steps,
      brief: [`${terms.join("")}=${total}`],
      answer: String(total),
    };
  },
};

/** Gains and losses, no more than there is. */
function events(
  count: number,
  start: number,
  who: Person,
  what: string,
  draw: Draw,
): { sentence: string; term: string }[] {
  let total = start;
  return Array.from({ length: count }, () => {
    const change = draw.integer(2, 12);
    const loss = change < total && draw.chance(0.5);
    total += loss ? -change : change;
    return {
      sentence: draw.pick(loss ? losses : gains)(who, change, what),
      term: `${loss ? "-" : "+"}${change}`,
    };
  });
}

function capital(word: string): string {
  return word[0].toUpperCase() + word.slice(1);
}
