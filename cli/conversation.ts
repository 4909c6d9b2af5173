/**
 * A conversation with a model: what was said, and the next answer to it.
 *
 * @module
 */
import {
  type ChatMessage,
  ChatTemplate,
  encodeConversation,
  endsOf,
  type ReasoningDelta,
  ReasoningParser,
  StopText,
  templateStops,
} from "../text/mod.ts";
import { UsageError } from "./errors.ts";
import type { OpenModel } from "./model.ts";
import { isOn } from "./prompt.ts";
import { type ContinueOptions, Session, type StopReason } from "./session.ts";

/** How answers are made. */
export type AnswerOptions = Pick<
  ContinueOptions,
  "maxTokens" | "temperature" | "topK" | "topP" | "minP" | "seed"
>;

/** How an answer came about. */
export interface Answer {
  readonly stopReason: StopReason;
  /** New tokens. */
  readonly tokens: number;
  /** Tokens of the prompt. */
  readonly promptTokens: number;
}

/** Most conversations stay below so many tokens. */
const usualTokens = 2048;

/** Messages, and a session that has read them. */
export class Conversation implements Disposable {
  /** The reasoning switch; undefined leaves it to the model. */
  thinking: "on" | "off" | undefined;
  readonly #model: OpenModel;
  readonly #options: AnswerOptions;
  readonly #template: ChatTemplate;
  readonly #session: Session;
  readonly #system: readonly ChatMessage[];
  #messages: ChatMessage[] = [];
  #turns = 0;

  /** Nothing said yet but for the system message, if there is one. */
  constructor(model: OpenModel, options: AnswerOptions, system: string | undefined) {
    this.#model = model;
    this.#options = options;
    this.#template = ChatTemplate.for(model.tokenizer);
    this.#session = new Session(model.decoder, usualTokens);
    this.#system = system === undefined ? [] : [{ role: "system", content: system }];
  }

  /** What was said, the system message first. */
  get messages(): readonly ChatMessage[] {
    return [...this.#system, ...this.#messages];
  }

  /** Forgets what was said, but for the system message. */
  reset(): void {
    this.#messages = [];
  }

  /**
   * Answers `said`; `show` gets the answer as it comes. Of an answer that `signal` cuts short, what came stays.
   * Throws ChatTemplateError, or UsageError for a conversation that is too long; nothing was said then.
   */
  async answer(
    said: string,
    signal: AbortSignal,
    show: (delta: ReasoningDelta) => void,
  ): Promise<Answer> {
    const messages = [...this.#messages, { role: "user", content: said }];
    const { tokenizer, decoder } = this.#model;
    const asked = [...this.#system, ...messages];
    const { ids, inside } = encodeConversation(tokenizer, this.#template, asked, {
      thinking: isOn(this.thinking),
    });
    const { context } = decoder.spec;
    if (ids.length >= context) {
      throw new UsageError(
        `chat: the conversation is too long, ${ids.length} tokens (the model reads ${context}). ` +
          "/reset begins a new one.",
      );
    }
    const tokens = this.#session.continue(ids, {
      ...this.#options,
      ends: endsOf(tokenizer),
      vocabularySize: tokenizer.vocabularySize,
      sample: this.#turns++,
      signal,
    });
    const { text, ...answer } = await this.#show(tokens, new ReasoningParser({ inside }), show);
    if (text !== "") this.#messages = [...messages, { role: "assistant", content: text }];
    return { ...answer, promptTokens: ids.length };
  }

  async #show(
    tokens: AsyncGenerator<number, StopReason>,
    parser: ReasoningParser,
    show: (delta: ReasoningDelta) => void,
  ): Promise<{ text: string; stopReason: StopReason; tokens: number }> {
    const { tokenizer } = this.#model;
    // The marks of thinking may be special tokens, so all tokens are shown.
    const decoding = tokenizer.stream();
    const stops = new StopText(templateStops(tokenizer));
    let [text, count] = ["", 0];
    let stopReason: StopReason = "stop";
    const pass = (piece: string): void => {
      text += piece;
      show(parser.push(piece));
    };
    while (!stops.stopped) {
      const next = await tokens.next();
      if (next.done) {
        stopReason = next.value;
        break;
      }
      count++;
      pass(stops.push(decoding.push(next.value)));
    }
    if (!stops.stopped) pass(stops.push(decoding.flush()) + stops.flush());
    show(parser.flush());
    return { text, stopReason, tokens: count };
  }

  /** Gives the session's memory back; the model stays the caller's. */
  [Symbol.dispose](): void {
    this.#session[Symbol.dispose]();
  }
}
