/**
 * Reads a formula, in LaTeX or as typed on a keyboard.
 *
 * @module
 */
import { AtomParser } from "./atoms.ts";
import { bareList, call, type MathExpression, type Relation, symbol } from "./expression.ts";
import { Rational } from "./rational.ts";
import { mathTokens, type TokenOptions } from "./tokens.ts";

/**
 * The expression that a formula stands for. Units and words after numbers are left out; a degree sign and currencies too.
 * Throws MathSyntaxError for text that is no formula.
 *
 * @example
 * ```ts
 * import { parseMath } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(parseMath("\\frac{1}{2}x"), parseMath("1/2*x"));
 * assert.throws(() => parseMath("1 + * ("));
 * ```
 */
export function parseMath(text: string, options: TokenOptions = {}): MathExpression {
  const tokens = mathTokens(text, options);
  const words = tokens.slice(0, -1);
  if (words.length > 0 && words.every(({ kind }) => kind === "text")) {
    return symbol(words.map(({ text }) => text).join(" "));
  }
  return new FormulaParser(tokens).whole();
}

const relations: Readonly<Record<string, Relation>> = {
  "=": "=",
  ":=": "=",
  "!=": "!=",
  "<": "<",
  "<=": "<=",
  ">": ">",
  ">=": ">=",
  "\\in": "in",
  "\\equiv": "=",
};

const setOperators: Readonly<Record<string, string>> = {
  "\\cup": "union",
  "\\cap": "intersection",
  "\\setminus": "difference",
};

/** A recursive descent over the tokens. Each method reads what its name says and leaves what follows. */
class FormulaParser extends AtomParser {
  /** All of the tokens. */
  whole(): MathExpression {
    const groups = [this.list()];
    while (this.skip(";")) groups.push(this.list());
    if (this.token.kind !== "end") this.fail(`unexpected ${JSON.stringify(this.token.text)}`);
    return groups.length === 1 ? groups[0] : bareList(groups);
  }

  /** a, b, c */
  protected override list(): MathExpression {
    const items = [this.relation()];
    while (this.sign === ",") {
      this.at++;
      // `2, 3, and 5`, and a comma that closes the list.
      if (this.sign === "," || this.token.kind === "end") continue;
      items.push(this.relation());
    }
    return items.length === 1 ? items[0] : bareList(items);
  }

  /** a < b = c */
  protected override relation(): MathExpression {
    const sides = [this.#sets()];
    const operators: Relation[] = [];
    while (relations[this.sign]) {
      operators.push(relations[this.sign]);
      this.at++;
      sides.push(this.#sets());
    }
    // What follows "≈" only rounds what stands before it.
    if (this.skip("\\approx") || this.skip("\\sim")) {
      const rounded = this.#sets();
      if (sides.length === 1) {
        return { kind: "relation", sides: [sides[0], rounded], operators: ["="] };
      }
    }
    return sides.length === 1 ? sides[0] : { kind: "relation", sides, operators };
  }

  /** a ∪ b */
  #sets(): MathExpression {
    let left = this.#ratio();
    for (let name = setOperators[this.sign]; name; name = setOperators[this.sign]) {
      this.at++;
      left = call(name, left, this.#ratio());
    }
    return left;
  }

  /** a : b */
  #ratio(): MathExpression {
    const parts = [this.sum()];
    while (this.skip(":")) parts.push(this.sum());
    return parts.length === 1 ? parts[0] : call("ratio", ...parts);
  }

  /** a + b − c */
  protected override sum(): MathExpression {
    return this.nested(() => {
      let left = this.#product();
      while (true) {
        if (this.skip("+")) left = call("add", left, this.#product());
        else if (this.skip("-")) left = call("add", left, call("negate", this.#product()));
        else if (this.skip("\\pm") || this.skip("\\mp")) {
          left = call("plusMinus", left, this.#product());
        } else return left;
      }
    });
  }

  /** a · b / c, also without a sign between the factors. */
  #product(): MathExpression {
    let left = this.signed();
    while (true) {
      if (this.skip("*") || this.skip("\\cdot") || this.skip("\\times")) {
        left = call("multiply", left, this.signed());
      } else if (this.skip("/") || this.skip("\\div")) left = call("divide", left, this.signed());
      else if (this.token.kind === "text") this.#unit(left);
      else if (this.beginsFactor()) left = this.#juxtaposed(left);
      else return left;
    }
  }

  /** 3x, and 3½ which is a sum. */
  #juxtaposed(left: MathExpression): MathExpression {
    const fraction = this.sign === "\\frac";
    const right = this.power();
    if (left.kind === "number" && right.kind === "number") return this.#mixed(left, right);
    const mixed = fraction && left.kind === "number" && left.value.isInteger && !left.decimal &&
      right.kind === "call" && right.name === "divide" &&
      right.arguments.every((part) => part.kind === "number" && part.value.isInteger);
    return call(mixed ? "add" : "multiply", left, right);
  }

  /** 4 1/2; other numbers side by side are no formula. */
  #mixed(whole: MathExpression, numerator: MathExpression): MathExpression {
    this.expect("/");
    return call("add", whole, call("divide", numerator, this.power()));
  }

  /** A unit after a quantity, with its power, says nothing about the number. */
  #unit(quantity: MathExpression): void {
    if (!hasNumber(quantity)) {
      this.fail(`words after a formula, ${JSON.stringify(this.token.text)}`);
    }
    while (this.token.kind === "text") this.at++;
    if (this.skip("/")) return this.#unit(quantity);
    if (this.skip("^")) this.argument();
  }

  /** −a, ±a */
  protected override signed(): MathExpression {
    if (this.skip("-")) return this.nested(() => call("negate", this.signed()));
    if (this.skip("+")) return this.nested(() => this.signed());
    if (this.skip("\\pm") || this.skip("\\mp")) {
      return this.nested(() =>
        call("plusMinus", { kind: "number", value: Rational.of(0n), decimal: false }, this.signed())
      );
    }
    return this.power();
  }

  /** a^b, a!, a% */
  protected override power(): MathExpression {
    let base = this.atom();
    while (true) {
      if (this.skip("^")) base = call("power", base, this.nested(() => this.exponent()));
      else if (this.skip("!")) base = call("factorial", base);
      else if (this.skip("%")) base = call("percent", base);
      else if (this.skip("'")) base = call("prime", base);
      else return base;
    }
  }

  /** What stands behind ^: a group, one digit of a number in LaTeX, or a power again. */
  protected override exponent(): MathExpression {
    if (this.sign === "-" || this.sign === "+") return this.signed();
    const base = this.argument();
    return this.skip("^") ? call("power", base, this.nested(() => this.exponent())) : base;
  }
}

function hasNumber(expression: MathExpression): boolean {
  if (expression.kind === "number") return true;
  return expression.kind === "call" && expression.arguments.some(hasNumber);
}
