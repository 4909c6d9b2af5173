/**
 * Reads the factors of a formula: numbers, names, brackets, fractions, functions.
 *
 * @module
 */
import { bareList, call, type MathExpression, symbol } from "./expression.ts";
import { TokenCursor } from "./cursor.ts";
import { Rational } from "./rational.ts";

/** Functions that are written before what they are applied to. */
const functions: ReadonlySet<string> = new Set(
  "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh ln log lg exp".split(" "),
);

const otherNames: Readonly<Record<string, string>> = {
  asin: "arcsin",
  acos: "arccos",
  atan: "arctan",
  tg: "tan",
  ctg: "cot",
  infty: "infinity",
  varnothing: "emptyset",
};

/** Letters that are functions where brackets follow. */
const functionLetters: ReadonlySet<string> = new Set("fghFGHPQ");

/** Decorations that do not change what a name stands for. */
const decorations: ReadonlySet<string> = new Set("overline vec hat bar boxed fbox".split(" "));

/** Commands that end a product. */
const notFactors: ReadonlySet<string> = new Set(
  ("cdot times div pm mp cup cap setminus in notin approx sim equiv to end rbrace rfloor rceil " +
    "le ge text mid cdots ldots dots \\").split(" "),
);

/** Reads factors. What they are joined by is read by who extends it. */
export abstract class AtomParser extends TokenCursor {
  /** How many bars are open, which a further bar may close. */
  protected bars = 0;

  /** a, b, c */
  protected abstract list(): MathExpression;
  /** a < b = c */
  protected abstract relation(): MathExpression;
  /** a + b − c */
  protected abstract sum(): MathExpression;
  /** −a, ±a */
  protected abstract signed(): MathExpression;
  /** a^b, a!, a% */
  protected abstract power(): MathExpression;
  /** What stands behind ^. */
  protected abstract exponent(): MathExpression;

  /** Whether the next token can be a factor without a sign before it. */
  protected beginsFactor(): boolean {
    const { kind } = this.token;
    if (kind === "number" || kind === "symbol") return true;
    if (kind === "command") return !notFactors.has(this.token.text);
    return this.sign === "(" || this.sign === "{" || this.sign === "[" ||
      (this.sign === "|" && this.bars === 0);
  }

  /** An argument of a command: a group, or a single token. */
  protected argument(): MathExpression {
    if (this.sign !== "{") return this.atom();
    return this.group("{", "}");
  }

  /** One digit of the next number; `\frac12` is a half. */
  #digitArgument(): MathExpression {
    const { kind, text } = this.token;
    if (kind !== "number" || text.length === 1) return this.argument();
    this.tokens[this.at] = { kind, text: text.slice(1) };
    return number(text[0]);
  }

  /** An expression between brackets that only group. */
  protected group(open: string, close: string): MathExpression {
    return this.nested(() => {
      this.expect(open);
      const bars = this.bars;
      this.bars = 0;
      const inside = this.list();
      this.bars = bars;
      this.expect(close);
      return inside;
    });
  }

  /** A single factor. */
  protected atom(): MathExpression {
    const { kind, text } = this.token;
    if (kind === "number") {
      this.at++;
      return number(text);
    }
    if (kind === "symbol" || kind === "text") return this.#name();
    if (kind === "command") return this.#command();
    if (this.sign === "{") return this.group("{", "}");
    if (this.sign === "(" || this.sign === "[" || this.sign === "]") return this.#brackets();
    if (this.skip("|")) return this.#absolute();
    return this.fail(`a number or name expected, not ${JSON.stringify(text)}`);
  }

  /** x, x_1, f(x) */
  #name(): MathExpression {
    let name = this.token.text;
    this.at++;
    if (this.skip("_")) {
      const start = this.at;
      this.argument();
      const subscript = this.tokens.slice(start, this.at).map(({ text }) => text);
      name += `_${subscript.join("").replace(/[{}]/g, "")}`;
    }
    if (functionLetters.has(name) && this.sign === "(") {
      const argument = this.group("(", ")");
      const parts = argument.kind === "collection" ? argument.items : [argument];
      return call(`function ${name}`, ...parts);
    }
    return symbol(name);
  }

  /** (a), (a, b), [a, b) */
  #brackets(): MathExpression {
    return this.nested(() => {
      const open = this.expect("(", "[", "]");
      const bars = this.bars;
      this.bars = 0;
      const inside = this.list();
      const items = [...itemsOf(inside)];
      while (this.skip(";")) items.push(...itemsOf(this.list()));
      this.bars = bars;
      const close = this.expect(")", "]", "[");
      if (items.length === 1 && open !== "]" && close !== "[") return inside;
      // ]a, b[ is the other way to write an open interval.
      return {
        kind: "collection",
        open: open === "[" ? "[" : "(",
        close: close === "]" ? "]" : ")",
        items,
      };
    });
  }

  /** |a|, the opening bar is read. */
  #absolute(): MathExpression {
    return this.nested(() => {
      this.bars++;
      const inside = this.sum();
      this.expect("|");
      this.bars--;
      return call("abs", inside);
    });
  }

  #command(): MathExpression {
    const name = otherNames[this.token.text] ?? this.token.text;
    this.at++;
    if (functions.has(name)) return this.#function(name);
    if (decorations.has(name)) return this.argument();
    switch (name) {
      case "frac":
        return call("divide", this.#digitArgument(), this.#digitArgument());
      case "binom":
        return call("binomial", this.#digitArgument(), this.#digitArgument());
      case "sqrt":
        return this.#root();
      case "lbrace":
        return this.#set();
      case "lfloor":
      case "lceil": {
        const inside = this.nested(() => this.sum());
        this.expect(name === "lfloor" ? "\\rfloor" : "\\rceil");
        return call(name === "lfloor" ? "floor" : "ceiling", inside);
      }
      case "abs":
      case "max":
      case "min":
      case "gcd":
      case "lcm": {
        const inside = this.argument();
        return call(name, ...(inside.kind === "collection" ? inside.items : [inside]));
      }
      case "begin":
        return this.#matrix();
      case "mathbb": {
        const letter = this.argument();
        return symbol(letter.kind === "symbol" ? `numbers ${letter.name}` : "numbers");
      }
    }
    if (notFactors.has(name)) this.fail(`unexpected \\${name}`);
    if (this.skip("_")) this.argument();
    return symbol(name);
  }

  /** sin x, sin² x, log₂ x, sin⁻¹ x */
  #function(name: string): MathExpression {
    const base = this.skip("_") ? this.#digitArgument() : null;
    const exponent = this.skip("^") ? this.nested(() => this.exponent()) : null;
    const argument = this.nested(() => this.#functionArgument());
    const applied = base ? call(name, argument, base) : call(name, argument);
    if (!exponent) return applied;
    const inverse = exponent.kind === "call" && exponent.name === "negate" &&
      !name.startsWith("arc");
    return inverse ? call(`arc${name}`, argument) : call("power", applied, exponent);
  }

  /** In brackets, or the factors up to the next sign: sin 2x. */
  #functionArgument(): MathExpression {
    if (this.sign === "(" || this.sign === "{") return this.atom();
    let argument = this.signed();
    while (this.beginsFactor() && !functions.has(this.token.text) && this.sign !== "(") {
      argument = call("multiply", argument, this.power());
    }
    return argument;
  }

  #root(): MathExpression {
    const index = this.sign === "[" ? this.group("[", "]") : null;
    const radicand = this.#digitArgument();
    return index ? call("root", radicand, index) : call("sqrt", radicand);
  }

  /** The opening brace is read. It may be that of a system of equations, which is not closed. */
  #set(): MathExpression {
    return this.nested(() => {
      if (this.skip("\\rbrace")) return symbol("emptyset");
      const isSystem = this.sign === "\\begin", inside = this.list();
      if (isSystem && !this.skip("\\rbrace")) return inside;
      if (!isSystem) this.expect("\\rbrace");
      return { kind: "collection", open: "{", close: "}", items: itemsOf(inside) };
    });
  }

  /** \begin{pmatrix} a & b \\ c & d \end{pmatrix}, or a system of equations; \begin is read. */
  #matrix(): MathExpression {
    return this.nested(() => {
      this.#environment();
      const rows: MathExpression[][] = [[]];
      while (!this.skip("\\end")) {
        if (this.skip("\\\\")) rows.push([]);
        else if (!this.skip("&") && !this.skip(",")) rows.at(-1)!.push(this.relation());
      }
      this.#environment();
      const filled = rows.filter((row) => row.length > 0);
      const isSystem = filled.flat().every(({ kind }) => kind === "relation");
      return isSystem && filled.length > 0
        ? bareList(filled.flat())
        : { kind: "matrix", rows: filled };
    });
  }

  /** The name of an environment between braces, and the columns of an array. */
  #environment(): void {
    const name = this.#words();
    if (!/matrix$|^array$|^cases$|^aligned$/.test(name)) {
      this.fail(`not a matrix, ${JSON.stringify(name)}`);
    }
    if (name === "array" && this.sign === "{") this.#words();
  }

  /** {letters} */
  #words(): string {
    this.expect("{");
    const start = this.at;
    while (this.sign !== "}" && this.token.kind !== "end") this.at++;
    const words = this.tokens.slice(start, this.at).map(({ text }) => text).join("");
    this.expect("}");
    return words;
  }
}

/** Items of a bare list; anything else is one. */
function itemsOf(inside: MathExpression): readonly MathExpression[] {
  return inside.kind === "collection" && inside.open === "" ? inside.items : [inside];
}

function number(digits: string): MathExpression {
  return { kind: "number", value: Rational.parse(digits), decimal: digits.includes(".") };
}
