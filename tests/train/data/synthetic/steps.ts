/**
 * Checks the working of a problem, line by line.
 *
 * @module
 */
import assert from "node:assert/strict";
import { evaluate } from "./solver.ts";

const relation = /^([-+*\d]+)([<>=])([-+*\d]+)$/;

/** Fails unless every step of a trace is true and follows from the question and the steps before. */
export function checkSteps(question: string, trace: string, answer: string): void {
  const lines = trace.split("\n");
  assert.ok(lines.at(-1)!.endsWith(answer), `${question}: ${trace} does not end with ${answer}`);
  lines.forEach((line, i) => {
    const known = checks.find(([pattern]) => pattern.test(line));
    if (known) known[1](line, question);
    // A line of no form of its own is what all others led to.
    else assert.ok(i === lines.length - 1 && line === answer, `${question}: ${line} is no step`);
  });
}

const itemsOf = (question: string): string[] => question.match(/[[(](.*)[\])]/)![1].split(/[-,]/);
const bracketed = (question: string): boolean => /[[(]/.test(question);

type Check = readonly [RegExp, (line: string, question: string) => void];

const checks: readonly Check[] = [
  [/^\d[-+*\d]*[<>=][-+*\d]+$/, checkRelation],
  [/^\d+(,\d+)+>\d+$/, checkTaken],
  [/^\d+>\d+(,\d+>\d+)+$/, checkBestSoFar],
  [/^\d+ (yes|no)(,\d+ (yes|no))+$/, checkKept],
  [/^\d[a-z](,\d[a-z])*$/, checkNumbered],
  [/^[a-z]+\d(,[a-z]+\d)*$/, checkTally],
  [/^[a-z]>[a-z](,[a-z]>[a-z])*$/, checkReplaced],
  [/^count=\d+$/, () => {}],
];

/** "12+7=19", "479<482"; in a list, "9>9" is the last number taken. */
function checkRelation(line: string, question: string): void {
  const [, left, sign, right] = line.match(relation)!;
  const [a, b] = [evaluate(left), evaluate(right)];
  if (sign === ">" && bracketed(question)) return assert.equal(a, b, line);
  assert.ok(sign === "=" ? a === b : sign === "<" ? a < b : a > b, `${question}: ${line} is false`);
}

/** "5,2,9>2": the smallest or the largest of those left. */
function checkTaken(line: string, question: string): void {
  const [left, taken] = line.split(">"), numbers = left.split(",").map(Number);
  const given = itemsOf(question).map(Number);
  assert.ok(numbers.every((value) => given.includes(value)), line);
  const best = /downwards/.test(question) ? Math.max : Math.min;
  assert.equal(Number(taken), best(...numbers), `${question}: ${line}`);
}

/** "5>5,2>5,9>9": every number of the list, with the best up to it. */
function checkBestSoFar(line: string, question: string): void {
  const pairs = line.split(",").map((pair) => pair.split(">").map(Number));
  assert.deepEqual(pairs.map(([value]) => value), itemsOf(question).map(Number), line);
  const better = /largest|greatest/.test(question)
    ? (a: number, b: number): boolean => a > b
    : (a: number, b: number): boolean => a < b;
  let best = pairs[0][0];
  for (const [value, soFar] of pairs) {
    if (better(value, best)) best = value;
    assert.equal(soFar, best, `${question}: ${line}`);
  }
}

/** "14 no,27 yes": every number of the list, with whether it is kept. */
function checkKept(line: string, question: string): void {
  const border = Number(question.match(/at (?:least|most) (\d+)/)![1]);
  const verdicts = itemsOf(question).map(Number).map((value) => {
    const kept = /at least/.test(question) ? value >= border : value <= border;
    return `${value} ${kept ? "yes" : "no"}`;
  });
  assert.equal(line, verdicts.join(","), question);
}

/** "1c,2a,3t": letters with their places, forwards or backwards. */
function checkNumbered(line: string, question: string): void {
  const word = itemsOf(question);
  for (const part of line.split(",")) assert.equal(part[1], word[Number(part[0]) - 1], line);
}

/** "a1,b1,a2": every item with how many count up to it. */
function checkTally(line: string, question: string): void {
  const wanted = question.match(/"(.*?)"/)?.[1], items = itemsOf(question);
  const parts = line.split(",").map((part) => part.match(/^([a-z]+)(\d+)$/)!);
  assert.deepEqual(parts.map(([, item]) => item), items, line);
  parts.forEach(([, , count], i) => {
    const counting = items.slice(0, i + 1).filter((item) =>
      wanted ? item === wanted : /^[aeiou]$/.test(item)
    );
    assert.equal(Number(count), counting.length, `${question}: ${line}`);
  });
}

/** "c>c,a>o": every letter with what becomes of it. */
function checkReplaced(line: string, question: string): void {
  const [from, to] = Array.from(question.matchAll(/"(.*?)"/g), ([, inside]) => inside);
  const expected = itemsOf(question).map((letter) => `${letter}>${letter === from ? to : letter}`);
  assert.equal(line, expected.join(","), question);
}
