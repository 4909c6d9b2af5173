/**
 * Rows of data as prompts, and completions as text.
 *
 * @module
 */
import {
  ChatTemplate,
  encodeConversation,
  encodePrompt,
  endsOf,
  thinkOpen,
  type Tokenizer,
} from "../../text/mod.ts";
import type { CompletionIds } from "../generator.ts";
import { messagesOfRow, type RewardCompletion, type RewardRow } from "../rewards/mod.ts";

/** A prompt as a model reads it. */
export interface EncodedPrompt {
  /** ids: [tokens]. */
  readonly ids: readonly number[];
  /** What of the completion the prompt has already begun. */
  readonly begun: string;
}

/** Turns rows into prompts, and ids into completions. */
export class PromptCoder {
  /** Ids that end a completion. */
  readonly stop: readonly number[];
  readonly #template: ChatTemplate;

  /** Conversations are written in the tokenizer's own template unless another one is given. */
  constructor(readonly tokenizer: Tokenizer, template?: ChatTemplate) {
    this.#template = template ?? ChatTemplate.for(tokenizer);
    this.stop = [...endsOf(tokenizer)];
  }

  /**
   * The prompt of a row: its `messages` up to the last of the user, or its `prompt`, a conversation or a text as it is.
   * `thinking` sets the reasoning switch of a conversation. Throws TypeError for a row that has neither.
   */
  encode(row: RewardRow, thinking?: boolean): EncodedPrompt {
    const messages = messagesOfRow(row);
    if (messages) {
      const asked = messages.slice(0, messages.findLastIndex(({ role }) => role === "user") + 1);
      const options = { thinking };
      const { ids, inside } = encodeConversation(this.tokenizer, this.#template, asked, options);
      return { ids, begun: inside ? thinkOpen : "" };
    }
    if (typeof row.prompt === "string") {
      return { ids: encodePrompt(this.tokenizer, row.prompt), begun: "" };
    }
    throw new TypeError(`prompt: the row has neither "messages" nor "prompt". Add one of them.`);
  }

  /** A completion as rewards read it. */
  decode(
    { ids, ended }: CompletionIds,
    { begun }: EncodedPrompt,
    maxTokens: number,
  ): RewardCompletion {
    const text = begun + this.tokenizer.decode(ended ? ids.slice(0, -1) : [...ids]);
    return { text, ended, tokens: ids.length, maxTokens };
  }
}
