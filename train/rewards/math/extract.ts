/**
 * Finds the answer in what a model wrote.
 *
 * @module
 */
import { thinkClose } from "../../../text/mod.ts";
import { normalizeSigns } from "./tokens.ts";

/** A stretch of text. */
interface Span {
  readonly start: number;
  readonly end: number;
  /** The formula in it, without its delimiters. */
  readonly formula: string;
}

/** Between parts of one answer: `\boxed{1} and \boxed{2}`, `$21, 16$ or $11$`. */
const connective =
  /^(?:\\q?quad|\\text\s*\{[^{}]{0,40}\}|\b(?:and|or)\b|[a-zA-Z](?:_\{?\d\}?)? ?=|[\s$,;\\()[\]])*$/;

/** Texts longer than this are only searched at their end. */
const longestText = 20_000;

/**
 * The final answer in a text, as a formula without delimiters: what stands in the last `\boxed{}` or behind the last
 * "final answer is" or "####", else behind "answer is", else the last formula or number. Thinking is not searched.
 * Null where there is nothing of the kind.
 *
 * @example
 * ```ts
 * import { extractAnswer } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * assert.equal(extractAnswer("<think>4?</think> So $x=\\boxed{\\frac{1}{2}}$."), "\\frac{1}{2}");
 * assert.equal(extractAnswer("She has 12 apples and eats 3. The answer is 9."), "9");
 * ```
 */
export function extractAnswer(completion: string): string | null {
  const thought = completion.lastIndexOf(thinkClose);
  const answer = thought < 0 ? completion : completion.slice(thought + thinkClose.length);
  const text = answer.slice(-longestText);
  return wholeFormula(text) ?? markedAnswer(text) ?? lastFormula(text);
}

/** A text that is nothing but a formula. */
function wholeFormula(text: string): string | null {
  if (text.length > 1000 || /\\boxed|\\fbox|####/.test(text)) return null;
  const bare = withoutDelimiters(text);
  const outside = bare.replace(/\\(?:text|mbox|textbf|mathrm|operatorname)\s*\{[^{}]*\}/g, " ")
    .replace(/\\(?:begin|end)\s*\{[^{}]*\}/g, " ").replace(/\\+[a-zA-Z]+/g, " ");
  const words = outside.match(/[a-zA-Z]{2,}/g) ?? [];
  const isProse = words.some((word) => !formulaWords.has(word));
  const isOneWord = /^\s*[a-zA-Z]+[.\s]*$/.test(bare);
  return bare.trim() === "" || (isProse && !isOneWord) ? null : bare.trim();
}

/** Words that formulas may have without a backslash. */
const formulaWords: ReadonlySet<string> = new Set(
  ("and or percent pct sin cos tan ln log exp sqrt pi infty infinity max min abs AB AC BC CD " +
    "cm mm km kg ab ac bc xy xz yz bd cd").split(" "),
);

/** The last answer that is marked as one. */
function markedAnswer(text: string): string | null {
  const boxed = boxedAnswer(text);
  const final = behind(text, /(?:final answer(?: is)?|####)\s*:?/gi);
  if (boxed && (!final || final.start < boxed.end)) return boxed.formula;
  return (final ?? behind(text, /\b(?:answer|result|solution)(?: is| =|:|\*\*:?)\s*:?/gi))
    ?.formula ?? null;
}

/** The last box, with those before it that belong to the same answer. */
function boxedAnswer(text: string): Span | null {
  return joined(text, boxes(text));
}

function boxes(text: string): Span[] {
  const found: Span[] = [];
  for (const match of text.matchAll(/\\(?:boxed|fbox)\s*(?=\{)|\\boxed\s+(?=[\w-])/g)) {
    const start = match.index;
    if (found.length > 0 && start < found.at(-1)!.end) continue;
    const inside = start + match[0].length;
    const end = text[inside] === "{"
      ? closingBrace(text, inside)
      : inside + /^\S*?(?=[\s$]|$)/.exec(text.slice(inside, inside + 100))![0].length;
    if (end < 0) continue;
    const formula = text[inside] === "{"
      ? text.slice(inside + 1, end - 1)
      : text.slice(inside, end);
    found.push({ start, end, formula: withoutSigns(formula).trim() });
  }
  return found;
}

/** Where the group that opens here has ended; -1 where it does not. */
function closingBrace(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === "{") depth++;
    else if (text[at] === "}" && --depth === 0) return at + 1;
  }
  return -1;
}

/** The last span, together with those before it that only connectives separate from it. */
function joined(text: string, spans: readonly Span[]): Span | null {
  const last = spans.at(-1);
  if (!last) return null;
  let first = spans.length - 1;
  while (first > 0 && isConnected(text.slice(spans[first - 1].end, spans[first].start))) first--;
  const parts = spans.slice(first).map(({ formula }) => formula);
  return {
    start: spans[first].start,
    end: last.end,
    formula: parts.join(", ") + percentBehind(text, last.end),
  };
}

function isConnected(between: string): boolean {
  return between.length <= 60 && connective.test(between);
}

/** A percent sign behind a formula belongs to it. */
function percentBehind(text: string, end: number): string {
  const after = /^[\s$\\)\]}]{0,6}(?:%|percent\b|pct\b)/.exec(text.slice(end, end + 20));
  return after ? "%" : "";
}

/** The formula or number that follows the last such words in their sentence. */
function behind(text: string, words: RegExp): Span | null {
  for (const match of [...text.matchAll(words)].reverse()) {
    const start = match.index + match[0].length;
    const rest = text.slice(start, start + 1000);
    const sentence = rest.slice(
      0,
      /[.!?](?:\s|$)|\n\s*\n/.exec(rest.trimStart())?.index ?? undefined,
    );
    const answer = firstFormula(rest, sentence);
    if (answer !== null) return { start, end: start, formula: answer };
  }
  return null;
}

/** A formula right at the beginning, else the last number or formula of the sentence. */
function firstFormula(rest: string, sentence: string): string | null {
  const pieces = formulas(rest);
  if (pieces.length > 0 && /^[\s"'*:\\]*$/.test(rest.slice(0, pieces[0].start))) {
    let last = 0;
    while (
      last + 1 < pieces.length && isConnected(rest.slice(pieces[last].end, pieces[last + 1].start))
    ) last++;
    return joined(rest, pieces.slice(0, last + 1))!.formula;
  }
  const plain = wholeFormula(sentence.replace(/[*"]/g, " "));
  return plain && /\d|[a-zA-Z]/.test(plain) ? plain : lastFormula(sentence);
}

/** Formulas between `$`, `$$`, `\(` or `\[`. Between the first and third, lines do not end. */
function formulas(text: string): Span[] {
  const pattern =
    /\$\$([^$]+?)\$\$|(?<!\\)\$((?:[^$\n\\]|\\[^\n])+?)\$|\\\[([^]+?)\\\]|\\\(([^\n]+?)\\\)/g;
  return [...text.matchAll(pattern)].map((match) => ({
    start: match.index,
    end: match.index + match[0].length,
    formula: (match[1] ?? match[2] ?? match[3] ?? match[4]).trim(),
  }));
}

/** The last formula or number of a text. */
function lastFormula(text: string): string | null {
  const formula = joined(text, formulas(text));
  const number = lastNumber(text);
  if (formula && (!number || number.start < formula.end)) return formula.formula;
  return number?.formula ?? null;
}

const plainNumber =
  /(?<![\p{L}\d_.])[-−+]?(?:\d{1,3}(?:,\d{3})+(?![\d])|\d{1,3}(?: \d{3})+(?!\d)|\d+)(?:[.,]\d+)?(?:\s?\/\s?\d+)?|(?<![\p{L}\d_])[-−+]?\.\d+/gu;

/** The last number outside of formulas, its digits without separators. */
function lastNumber(text: string): Span | null {
  // Spaces keep the places; in `\(` … `\)` over several lines nothing is read.
  const blank = (span: string): string => " ".repeat(span.length);
  const prose = text.replace(/\\\([^]*?\\\)/g, blank).replace(/\\[a-zA-Z]+/g, blank);
  const last = [...prose.matchAll(plainNumber)].at(-1);
  if (!last) return null;
  const end = last.index + last[0].length;
  const formula = plainDigits(last[0]) + percentBehind(text, end);
  return { start: last.index, end, formula };
}

/** `1,000.99`, `1 000` and `1,22` as JavaScript writes them. */
function plainDigits(number: string): string {
  const grouped = number.replace(/[−]/g, "-").replace(/^\+/, "")
    .replace(/(\d)[, ](?=\d{3}(?:\D|$))/g, "$1");
  return grouped.replace(/^(-?\d+),(\d+)/, "$1.$2").replace(/\s/g, "");
}

/** Without the signs that begin and end formulas. A number that stands alone is read as in prose: 1,22 is one. */
function withoutDelimiters(text: string): string {
  const bare = withoutSigns(text);
  const isPlain = /^\s*[-−+]?[\d.,]+\s*$/.test(bare) && !/[$\\]/.test(text);
  return isPlain ? plainDigits(bare.trim().replace(/[.,]+$/, "")) : bare;
}

function withoutSigns(text: string): string {
  return text.replace(/(?<!\\)\$+/g, " ").replace(/\\[()]|\\\[(?!\d)|\\\](?!\d)/g, " ");
}

/** What two formulas are compared by where they cannot be read: signs, no spaces, no markup, small letters of words. */
export function comparableText(formula: string): string {
  const plain = normalizeSigns(withoutSigns(formula))
    .replace(/\\(?:text|mbox|hbox|textbf|textit|mathrm|mathbf|operatorname)\s*\{([^{}]*)\}/g, "$1")
    .replace(/[\s{}]/g, "").replace(/[.,;:]+$/, "").replace(/^\((\w+)\)$/, "$1");
  return /^[a-zA-Z]{2,}$/.test(plain) ? plain.toLowerCase() : plain;
}
