/**
 * The text of one answer, from its tokens: whole characters, up to a stop text, thinking apart from content.
 *
 * @module
 */
import {
  type ReasoningDelta,
  ReasoningParser,
  StopText,
  thinkClose,
  thinkOpen,
  type Tokenizer,
  type TokenStream,
} from "../text/mod.ts";

/** A generated token. */
export interface AnswerToken {
  /** The token. */
  readonly id: number;
  /** ln p of the token; NaN when nobody asked for it. */
  readonly logprob: number;
  /** The most likely tokens in its place, as [id, ln p]. */
  readonly top: readonly (readonly [id: number, logprob: number])[];
}

/** How the text of an answer is made. */
export interface AnswerOptions {
  /** Texts that end it. */
  readonly stops: readonly string[];
  /** Whether the text that ended it is part of it. */
  readonly includeStop: boolean;
  /** Before so many tokens no text ends it. */
  readonly minTokens: number;
  /** Whether tokens without a text of their own are left out, but for those that mark thinking. */
  readonly skipSpecial: boolean;
  /** Null when thinking is not told apart; else whether the prompt has already opened it. */
  readonly thinking: { readonly inside: boolean } | null;
}

/** What became certain. */
export interface AnswerDelta extends ReasoningDelta {
  /** The tokens that it comes from. */
  readonly tokens: readonly AnswerToken[];
}

/** A token whose text may not be certain yet. */
interface PendingToken extends AnswerToken {
  /** Where its text begins in the decoded text. */
  readonly start: number;
}

/** Turns tokens into text. The joined text does not depend on how tokens are grouped. */
export class AnswerText {
  readonly #tokenizer: Tokenizer;
  readonly #options: AnswerOptions;
  readonly #decoding: TokenStream;
  readonly #stops: StopText;
  readonly #parser: ReasoningParser | null;
  #pending: PendingToken[] = [];
  #decoded = 0;
  #shown = 0;
  #count = 0;
  #reasoningTokens = 0;

  /** Nothing generated yet. */
  constructor(tokenizer: Tokenizer, options: AnswerOptions) {
    this.#tokenizer = tokenizer;
    this.#options = options;
    this.#decoding = tokenizer.stream();
    this.#stops = new StopText(options.stops);
    this.#parser = options.thinking === null ? null : new ReasoningParser(options.thinking);
  }

  /** The stop text that ended the answer; null while none has. */
  get stop(): string | null {
    return this.#stops.found;
  }

  /** Tokens so far. */
  get count(): number {
    return this.#count;
  }

  /** Tokens of the thinking part so far. */
  get reasoningTokens(): number {
    return this.#reasoningTokens;
  }

  /** Takes the next tokens. After a stop text nothing comes any more. */
  push(tokens: readonly AnswerToken[]): AnswerDelta {
    const deltas: AnswerDelta[] = [];
    for (const token of tokens) if (this.stop === null) deltas.push(this.#push(token));
    return deltas.length === 1 ? deltas[0] : joined(deltas);
  }

  #push(token: AnswerToken): AnswerDelta {
    this.#count++;
    this.#pending.push({ ...token, start: this.#decoded });
    const piece = this.#textOf(token.id), wasThinking = this.#parser?.thinking;
    this.#decoded += piece.length;
    const open = this.#count <= this.#options.minTokens;
    const delta = this.#deliver(open ? piece : this.#upToStop(() => this.#stops.push(piece)));
    if (wasThinking || this.#parser?.thinking) this.#reasoningTokens++;
    return delta;
  }

  /** Ends the answer: what was held back. */
  finish(): AnswerDelta {
    const rest = this.#stops.stopped
      ? ""
      : this.#upToStop(() => this.#stops.push(this.#decoding.flush()) + this.#stops.flush());
    const delta = this.#deliver(rest);
    const last = this.#parser?.flush() ?? { reasoning: "", content: "" };
    const tokens = this.stop === null ? this.#pending.splice(0) : [];
    return {
      reasoning: delta.reasoning + last.reasoning,
      content: delta.content + last.content,
      tokens: [...delta.tokens, ...tokens],
    };
  }

  /** What comes through, and the stop text itself where it was asked for. */
  #upToStop(take: () => string): string {
    if (this.stop !== null) return "";
    const text = take();
    return text + (this.#options.includeStop ? this.stop ?? "" : "");
  }

  #textOf(id: number): string {
    const text = this.#decoding.push(id);
    if (!this.#options.skipSpecial || !this.#tokenizer.isSpecial(id)) return text;
    const marks = [thinkOpen, thinkClose].includes(this.#tokenizer.tokenOf(id).trim());
    return this.#parser !== null && marks ? text : "";
  }

  /** `text` is certain: with the tokens that it is made of. */
  #deliver(text: string): AnswerDelta {
    this.#shown += text.length;
    const delta = this.#parser?.push(text) ?? { reasoning: "", content: text };
    if (delta.reasoning === "" && delta.content === "") return { ...delta, tokens: [] };
    const held = this.#pending.findIndex(({ start }) => start >= this.#shown);
    const tokens = this.#pending.splice(0, held < 0 ? this.#pending.length : held);
    return { ...delta, tokens };
  }
}

function joined(deltas: readonly AnswerDelta[]): AnswerDelta {
  return {
    reasoning: deltas.map(({ reasoning }) => reasoning).join(""),
    content: deltas.map(({ content }) => content).join(""),
    tokens: deltas.flatMap(({ tokens }) => tokens),
  };
}
