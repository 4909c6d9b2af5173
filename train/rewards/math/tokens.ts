/**
 * Cuts LaTeX, or formulas as typed on a keyboard, into tokens.
 *
 * @module
 */

/** The smallest part of a formula. */
export interface MathToken {
  /** `command` is a LaTeX command or its spelled-out form, without the backslash; `text` are words. */
  readonly kind: "number" | "symbol" | "command" | "text" | "operator" | "end";
  /** Digits, a letter, a name, words or a sign. */
  readonly text: string;
}

/** How commas between digits are read. */
export interface TokenOptions {
  /** Whether `1,234` is one number; by default it is two. */
  readonly grouped?: boolean;
}

/** Text that is not mathematics, as far as can be told. */
export class MathSyntaxError extends Error {
  /** "MathSyntaxError" */
  override readonly name = "MathSyntaxError";
}

/** Longer text, or text of more tokens, is prose or an attack: trees are walked recursively. */
const mostCharacters = 4000, mostTokens = 1000;

/** Signs of Unicode, and commands, that mean the same as others. */
const spellings: readonly (readonly [RegExp, string])[] = [
  [/[−–—﹣－]/g, "-"],
  [/[×⋅·∙∗]/g, "*"],
  [/÷/g, "/"],
  [/≤|⩽|\\leqslant|\\leq?(?![a-z])/g, "<="],
  [/≥|⩾|\\geqslant|\\geq?(?![a-z])/g, ">="],
  [/≠|\\neq?(?![a-z])|\\not\s*=/g, "!="],
  [/\\lt(?![a-z])/g, "<"],
  [/\\gt(?![a-z])/g, ">"],
  [/≈/g, "\\approx "],
  [/∈/g, "\\in "],
  [/∪/g, "\\cup "],
  [/∩/g, "\\cap "],
  [/∞/g, "\\infty "],
  [/π/g, "\\pi "],
  [/√/g, "\\sqrt "],
  [/²/g, "^2"],
  [/³/g, "^3"],
  [/±/g, "\\pm "],
  [/½/g, "\\frac12 "],
  [/¼/g, "\\frac14 "],
  [/¾/g, "\\frac34 "],
  [/\\[dtc]frac/g, "\\frac"],
  [/\\d?tbinom|\\dbinom/g, "\\binom"],
  [/(?:\^\s*(?:\{\s*\\circ\s*\}|\\circ)|°)\s*\\(?:mathrm|text)\s*\{\s*[CF]\s*\}/g, " "],
  [/\^\s*(?:\{\s*\\(?:circ|degree)\s*\}|\\(?:circ|degree))|\\degree(?![a-z])|°/g, " "],
  [/\\left\s*\.|\\right\s*\.|\\(?:left|right|[bB]igg?[lrm]?)(?![a-z])/g, " "],
  [/\\(?:displaystyle|textstyle|limits|nolimits|qquad|quad|hfill|phantom\{[^{}]*\})/g, " "],
  [/(\d)\s*(?:\{,\}|,\s*\\!|\\,|\\!|~|\\ )\s*(?=\d{3}(?!\d))/g, "$1"],
  [/(?<!\\)\\[,;:!> ~]|~/g, " "],
  [/\\?[$€£¥₹]/g, " "],
  [/\\%/g, "%"],
  [/\\\{/g, "\\lbrace "],
  [/\\\}/g, "\\rbrace "],
  [/\\(?:[lr]?vert|mid)(?![a-z])/g, "|"],
  [/\*\*/g, "^"],
];

/** Names that need no backslash. */
const commandWords: ReadonlySet<string> = new Set(
  ("sin cos tan cot sec csc arcsin arccos arctan asin acos atan sinh cosh tanh ln log exp sqrt abs " +
    "max min gcd lcm lg tg ctg pi infty").split(" "),
);

/** Units that look like products of variables. */
const unitWords: ReadonlySet<string> = new Set(
  "cm mm km kg mg ml ft lb lbs oz mph kph hr hrs min mins sec secs am pm ms ns hz".split(" "),
);

/** Commands whose argument is words. */
const textCommands: ReadonlySet<string> = new Set(
  "text mbox hbox textbf textit textrm textsf texttt mathrm operatorname rm mathbf boldsymbol"
    .split(" "),
);

const decimals = String.raw`(?:\.\d+)?(?:[eE][-+]?\d{1,3}(?!\d))?`;

/** 1,234.5 */
const commaGroups = String.raw`\d{1,3}(?:,\d{3})+(?!\d)${decimals}`;

/** 1 234.5, 1234.5, 1.2e3, .5 */
const otherNumbers = String.raw`(?:\d{1,3}(?: \d{3})+(?!\d)|\d+)${decimals}|\.\d+`;

/** One spelling for each sign. */
export function normalizeSigns(text: string): string {
  // "\f" of "\frac" that was read as an escape.
  const whole = text.replaceAll("\f", "\\f");
  // Twice escaped backslashes; where there are matrices they may be line ends.
  const once = whole.includes("\\begin") ? whole : whole.replace(/\\\\(?=[a-zA-Z{}])/g, "\\");
  const finite = once.replace(
    /(\d{1,99})\.(\d{0,99})\\overline\s*\{(\d{1,99})\}/g,
    repeatingDecimal,
  );
  return spellings.reduce((result, [from, to]) => result.replace(from, to), finite);
}

/** 0.1\overline{6} is (16 − 1) / 90. */
function repeatingDecimal(_: string, whole: string, fixed: string, repeated: string): string {
  const numerator = BigInt(whole + fixed + repeated) - BigInt(whole + fixed);
  return `\\frac{${numerator}}{${"9".repeat(repeated.length)}${"0".repeat(fixed.length)}}`;
}

/** The tokens of a formula, closed by one of kind `end`. Throws MathSyntaxError for signs that no formula has. */
export function mathTokens(text: string, { grouped = false }: TokenOptions = {}): MathToken[] {
  checkLength(text.length, mostCharacters, "characters");
  const source = normalizeSigns(text).trim().replace(/[.,;:\s]+$/, "");
  const number = new RegExp(grouped ? `${commaGroups}|${otherNumbers}` : otherNumbers, "y");
  const tokens: MathToken[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(source);
    if (match) at += match[0].length;
    return match && (match[1] ?? match[0]);
  };
  while (take(/\s*/y) !== null && at < source.length) {
    const digits = take(number);
    if (digits !== null) {
      tokens.push({ kind: "number", text: digits.replace(/[, ]/g, "").replace(/^\./, "0.") });
      continue;
    }
    const command = take(/\\([a-zA-Z]+|\\)/y);
    const word = command === null ? take(/[a-zA-Z]+/y) : null;
    if (command !== null) tokens.push(...commandTokens(command, () => take(/\s*\{([^{}]*)\}/y)));
    else if (word !== null) tokens.push(...wordTokens(word));
    else {
      const sign = take(/<=|>=|!=|:=|[-+*/^_=<>()[\]{}|,;:!%&'.]/y);
      if (sign === null) {
        throw new MathSyntaxError(
          `parseMath: ${JSON.stringify(source[at])} is no mathematical sign (at ${at}).`,
        );
      }
      tokens.push({ kind: "operator", text: sign });
    }
  }
  checkLength(tokens.length, mostTokens, "tokens");
  tokens.push({ kind: "end", text: "" });
  return tokens;
}

function checkLength(length: number, most: number, unit: string): void {
  if (length <= most) return;
  throw new MathSyntaxError(
    `parseMath: too long for a formula (${length} ${unit}, at most ${most}).`,
  );
}

/** `argument` takes the group that follows. */
function commandTokens(command: string, argument: () => string | null): MathToken[] {
  if (textCommands.has(command)) {
    const words = argument();
    return words === null ? [] : textTokens(words);
  }
  if (knownCommands.has(command) || command.length < 3) return [{ kind: "command", text: command }];
  // A command and the letter after it, written without a space.
  for (let length = command.length - 1; length >= 2; length--) {
    if (!knownCommands.has(command.slice(0, length))) continue;
    return [
      { kind: "command", text: command.slice(0, length) },
      ...wordTokens(command.slice(length)),
    ];
  }
  return [{ kind: "command", text: command }];
}

const knownCommands: ReadonlySet<string> = new Set([
  ...commandWords,
  ...("frac binom cdot times div pm mp cup cap setminus in notin approx sim equiv to infty pi alpha beta gamma " +
    "delta theta lambda mu sigma phi omega begin end boxed fbox lbrace rbrace lfloor rfloor lceil rceil " +
    "overline vec hat bar mathbb emptyset varnothing ldots cdots dots le ge").split(" "),
]);

/** What words between braces say: a connective, a single letter, or text. */
function textTokens(words: string): MathToken[] {
  const plain = words.replaceAll("\\", " ").trim().replace(/^\(([^()]*)\)$/, "$1").trim();
  if (plain === "") return [];
  if (/^[,;.]$/.test(plain)) return [{ kind: "operator", text: "," }];
  // A space before it makes a letter a unit: `5\text{ m}`.
  if (/^[a-zA-Z]$/.test(plain)) {
    return [{ kind: /^\s/.test(words) ? "text" : "symbol", text: plain }];
  }
  if (commandWords.has(plain)) return [{ kind: "command", text: plain }];
  // `3\text{ and }4`, and also `(3, 3) \text{ for part (a) and } (1, 1)`
  if (/(?:^|\s)(?:and|or)$/.test(plain)) return [{ kind: "operator", text: "," }];
  if (/^(?:percent|pct|%)$/.test(plain)) return [{ kind: "operator", text: "%" }];
  if (/^[\d.]+$/.test(plain)) return [{ kind: "number", text: plain }];
  return [{ kind: "text", text: plain.toLowerCase() }];
}

function wordTokens(word: string): MathToken[] {
  if (commandWords.has(word)) return [{ kind: "command", text: word }];
  if (word === "infinity" || word === "inf" || word === "oo") {
    return [{ kind: "command", text: "infty" }];
  }
  if (word === "and" || word === "or") return [{ kind: "operator", text: "," }];
  if (word === "percent" || word === "pct") return [{ kind: "operator", text: "%" }];
  const isText = unitWords.has(word) || (word.length >= 3 && /[aeiou]/i.test(word));
  if (isText) return [{ kind: "text", text: word.toLowerCase() }];
  return [...word].map((letter) => ({ kind: "symbol", text: letter }));
}
