/**
 * A place in a row of tokens, for a parser to move on.
 *
 * @module
 */
import { MathSyntaxError, type MathToken } from "./tokens.ts";

/** Brackets deeper than this are not read. */
const deepest = 60;

/** Tokens, and the next one to read. */
export class TokenCursor {
  /** Closed by one of kind `end`. */
  protected readonly tokens: MathToken[];
  /** The place of the next token. */
  protected at = 0;
  #depth = 0;

  /** Stands before the first token. */
  constructor(tokens: MathToken[]) {
    this.tokens = tokens;
  }

  /** The next token. */
  protected get token(): MathToken {
    return this.tokens[this.at];
  }

  /** The next token as it is written in tables: `\in` for a command, `+` for a sign. */
  protected get sign(): string {
    const { kind, text } = this.token;
    if (kind === "operator") return text;
    return kind === "command" ? `\\${text}` : "";
  }

  /** Moves past the next token if it is that sign. */
  protected skip(sign: string): boolean {
    if (this.sign !== sign) return false;
    this.at++;
    return true;
  }

  /** Moves past one of these signs, and tells which. Throws MathSyntaxError for another token. */
  protected expect(...signs: readonly string[]): string {
    const found = signs.find((sign) => this.skip(sign));
    if (found === undefined) this.fail(`${signs.join(" or ")} expected`);
    return found;
  }

  /** Throws MathSyntaxError for what was found here. */
  protected fail(what: string): never {
    throw new MathSyntaxError(`parseMath: ${what} (token ${this.at}).`);
  }

  /** Guards what calls itself: text can be nested deeper than the stack is. */
  protected nested<T>(read: () => T): T {
    if (++this.#depth > deepest) this.fail("nested too deep");
    const result = read();
    this.#depth--;
    return result;
  }
}
