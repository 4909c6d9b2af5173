/**
 * Solves problems from their questions alone, by other means than the generators: numbers and lists are read off the
 * words, expressions are evaluated by a parser of its own.
 *
 * @module
 */
import assert from "node:assert/strict";

/** The value of a sum, difference or product of whole numbers; products first. */
export function evaluate(expression: string): number {
  assert.match(expression, /^\d+([-+*]\d+)*$/, expression);
  const terms = expression.replaceAll("-", "+-").split("+");
  return terms.reduce((total, term) => {
    const [first, ...rest] = term.split("*").map(Number);
    return total + rest.reduce((product, factor) => product * factor, first);
  }, 0);
}

const all = (pattern: RegExp, text: string): string[] =>
  Array.from(text.matchAll(pattern), ([match]) => match);
const bracketed = (question: string): string[] => question.match(/[[(](.*)[\])]/)![1].split(/[-,]/);
const quoted = (question: string): string[] =>
  Array.from(question.matchAll(/"(.*?)"/g), ([, inside]) => inside);
const countWhere = <T>(items: readonly T[], test: (item: T) => boolean): string =>
  String(items.filter(test).length);

const expression = (question: string): string =>
  String(evaluate(question.match(/\d+([-+*]\d+)+/)![0]));

const solvers: Readonly<Record<string, (question: string) => string>> = {
  addition: expression,
  subtraction: expression,
  multiplication: expression,
  chain: expression,
  comparison(question) {
    const values = all(/\d+(\+\d+)?/g, question).map(evaluate).sort((a, b) => a - b);
    assert.equal(values.length, 2, question);
    return String(values[/larger/.test(question) ? 1 : 0]);
  },
  counting(question) {
    const items = bracketed(question), [wanted] = quoted(question);
    return countWhere(items, (item) => wanted ? item === wanted : /^[aeiou]$/.test(item));
  },
  word_problem(question) {
    return String(
      question.split(/[.?]/).reduce((total, sentence) => {
        const number = Number(sentence.match(/\d+/)?.[0] ?? 0);
        return total + (/loses|gives away|sells|takes/.test(sentence) ? -number : number);
      }, 0),
    );
  },
  strings(question) {
    const word = bracketed(question), [from, to] = quoted(question);
    const place = question.match(/letter (\d+)/)?.[1];
    if (place) return word[Number(place) - 1];
    if (/last two/.test(question)) return word.slice(word.length - 2).join("-");
    if (/last/.test(question)) return word[word.length - 1];
    if (from) return word.join("-").replaceAll(from, to);
    if (/Copy|Repeat|again/.test(question)) return word.join("-");
    return Array.from(word.join("-")).reverse().join("");
  },
  lists(question) {
    const list = bracketed(question).map(Number), sorted = list.slice().sort((a, b) => a - b);
    if (/largest|greatest/.test(question)) return String(sorted.at(-1));
    if (/smallest|least number/.test(question)) return String(sorted[0]);
    if (/Add|Sum|Total/.test(question)) return String(list.reduce((a, b) => a + b));
    const border = Number(question.match(/at (?:least|most) (\d+)/)?.[1]);
    if (/at least/.test(question)) return list.filter((value) => !(value < border)).join(",");
    if (/at most/.test(question)) return list.filter((value) => !(value > border)).join(",");
    return (/downwards/.test(question) ? sorted.reverse() : sorted).join(",");
  },
};

/** The answer to a question of a task. */
export function solve(task: string, question: string): string {
  assert.ok(solvers[task], `the solver does not know ${task}`);
  return solvers[task](question);
}
