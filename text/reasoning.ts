/**
 * The reasoning switch of Llama-Nemotron and the text between `<think>` and `</think>`.
 *
 * With the system prompt `detailed thinking on` a model thinks in one `<think>…</think>` block before its
 * answer, with `detailed thinking off` it has none (Llama-Nemotron, arXiv 2505.00949, section 1).
 *
 * @module
 */

/** A chat message. Other keys, such as `tool_calls`, reach the template as they are. */
export interface ChatMessage {
  /** `system`, `user`, `assistant`, `tool` or what the template knows. */
  readonly role: string;
  /** The text, or parts where the template takes parts. */
  readonly content?: unknown;
  /** What else the template knows. */
  readonly [key: string]: unknown;
}

/** The system prompt that asks for thinking. */
export const thinkingOn = "detailed thinking on";

/** The system prompt that asks for an answer without thinking. */
export const thinkingOff = "detailed thinking off";

/** Begins the thinking part of an answer. */
export const thinkOpen = "<think>";

/** Ends the thinking part of an answer. */
export const thinkClose = "</think>";

/** The state of the switch: true, false, or undefined where the system prompt is not exactly a switch. */
export function thinkingSwitch(messages: readonly ChatMessage[]): boolean | undefined {
  const [first] = messages;
  if (first?.role !== "system") return undefined;
  if (first.content === thinkingOn) return true;
  return first.content === thinkingOff ? false : undefined;
}

/**
 * The conversation with the switch as its system prompt.
 *
 * The model was trained with the switch alone in that place: another system text moves to the
 * beginning of the first user message.
 *
 * @example
 * ```ts
 * import { setThinking } from "@denotron/denotron/text";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(setThinking([{ role: "user", content: "2+2?" }], true), [
 *   { role: "system", content: "detailed thinking on" },
 *   { role: "user", content: "2+2?" },
 * ]);
 * ```
 */
export function setThinking(messages: readonly ChatMessage[], on: boolean): ChatMessage[] {
  const system: ChatMessage = { role: "system", content: on ? thinkingOn : thinkingOff };
  if (messages[0]?.role !== "system") return [system, ...messages];
  const rest = messages.slice(1);
  const instructions = messages[0].content;
  const isSwitch = thinkingSwitch(messages) !== undefined;
  if (isSwitch || typeof instructions !== "string" || instructions === "") return [system, ...rest];
  const user = rest.findIndex(({ role, content }) =>
    role === "user" && typeof content === "string"
  );
  if (user < 0) return [system, { role: "user", content: instructions }, ...rest];
  const joined = { ...rest[user], content: `${instructions}\n\n${rest[user].content}` };
  return [system, ...rest.slice(0, user), joined, ...rest.slice(user + 1)];
}

/**
 * Whether a completion keeps to the switch: on, exactly one `<think>` before exactly one `</think>`;
 * off, neither of them.
 */
export function followsThinkingFormat(completion: string, on: boolean): boolean {
  const opens = count(completion, thinkOpen);
  const closes = count(completion, thinkClose);
  if (!on) return opens === 0 && closes === 0;
  return opens === 1 && closes === 1 &&
    completion.indexOf(thinkOpen) < completion.indexOf(thinkClose);
}

/** How often `part` occurs in `text`. */
export function count(text: string, part: string): number {
  return text.split(part).length - 1;
}

/** What became certain in a stream, split in two. */
export interface ReasoningDelta {
  /** Text of the thinking part. */
  readonly reasoning: string;
  /** Text of the answer. */
  readonly content: string;
}

/** Splits a whole completion; see {@linkcode ReasoningParser}. */
export function splitReasoning(
  completion: string,
  options: { readonly inside?: boolean } = {},
): ReasoningDelta {
  const parser = new ReasoningParser(options);
  const begun = parser.push(completion);
  const rest = parser.flush();
  return {
    reasoning: begun.reasoning + rest.reasoning,
    content: begun.content + rest.content,
  };
}

/**
 * Splits a completion that arrives in pieces into thinking and answer. The joined results do not
 * depend on where the pieces are cut, also inside a tag.
 *
 * Only a block at the very beginning is thinking; a later `<think>` is ordinary text. White space
 * around the thinking and before the answer is left out.
 *
 * @example
 * ```ts
 * import { ReasoningParser } from "@denotron/denotron/text";
 * import assert from "node:assert/strict";
 *
 * const parser = new ReasoningParser();
 * assert.deepEqual(parser.push("<thi"), { reasoning: "", content: "" });
 * assert.deepEqual(parser.push("nk>\n2+2 is 4\n</th"), { reasoning: "2+2 is 4", content: "" });
 * assert.deepEqual(parser.push("ink>\n\nFour."), { reasoning: "", content: "Four." });
 * ```
 */
export class ReasoningParser {
  readonly #inside: boolean;
  #state: "start" | "opened" | "reasoning" | "closed" | "content" = "start";
  #pending = "";

  /** `inside`: the prompt already ended with `<think>`, so the completion begins inside the block. */
  constructor(options: { readonly inside?: boolean } = {}) {
    this.#inside = options.inside ?? false;
  }

  /** Whether the text so far ends inside the thinking part. */
  get thinking(): boolean {
    return this.#state === "opened" || this.#state === "reasoning";
  }

  /** Whether the thinking part, if any, is complete: what follows is the answer. */
  get answering(): boolean {
    return this.#state === "closed" || this.#state === "content";
  }

  /** Takes the next piece; returns what is now certain. */
  push(piece: string): ReasoningDelta {
    this.#pending += piece;
    if (this.#state === "start") this.#begin();
    let reasoning = "";
    if (this.thinking) reasoning = this.#think();
    return { reasoning, content: this.#answer() };
  }

  /** Ends the completion: text held back because a tag might have followed. */
  flush(): ReasoningDelta {
    const rest = this.#pending;
    const state = this.#state;
    this.#pending = "";
    this.#state = "start";
    // Held back after thinking that has gone out: the space before it is part of the text.
    if (state === "reasoning") return { reasoning: rest.trimEnd(), content: "" };
    if (state === "opened" || (state === "start" && this.#inside)) {
      return { reasoning: rest.trim(), content: "" };
    }
    return { reasoning: "", content: state === "closed" ? "" : rest };
  }

  /** Decides, once the first characters are known, whether the completion begins with thinking. */
  #begin(): void {
    const text = this.#pending.trimStart();
    if (text.startsWith(thinkOpen)) {
      this.#state = "opened";
      this.#pending = text.slice(thinkOpen.length);
    } else if (!thinkOpen.startsWith(text)) {
      this.#state = this.#inside ? "opened" : "content";
    }
  }

  /** Takes the certain thinking text, up to the closing tag or what may become one. */
  #think(): string {
    if (this.#state === "opened") this.#pending = this.#pending.trimStart();
    if (this.#pending === "") return "";
    const close = this.#pending.indexOf(thinkClose);
    const end = close >= 0 ? close : this.#pending.length - partialTag(this.#pending);
    // White space is held back as well: it belongs to the thinking only if more text follows.
    const reasoning = this.#pending.slice(0, end).trimEnd();
    if (close >= 0) {
      this.#state = "closed";
      this.#pending = this.#pending.slice(close + thinkClose.length);
    } else {
      if (reasoning !== "") this.#state = "reasoning";
      this.#pending = this.#pending.slice(reasoning.length);
    }
    return reasoning;
  }

  #answer(): string {
    if (this.#state === "closed") {
      this.#pending = this.#pending.trimStart();
      if (this.#pending !== "") this.#state = "content";
    }
    if (this.#state !== "content") return "";
    const content = this.#pending;
    this.#pending = "";
    return content;
  }
}

/** Length of the longest end of the text that begins a closing tag. */
function partialTag(text: string): number {
  for (let length = Math.min(thinkClose.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(thinkClose.slice(0, length))) return length;
  }
  return 0;
}
