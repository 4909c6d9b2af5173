/**
 * What a model reads: a text as it is, or a conversation in the model's chat template.
 *
 * @module
 */
import {
  type ChatMessage,
  type ChatTemplate,
  setThinking,
  thinkOpen,
  type Tokenizer,
} from "../text/mod.ts";
import { UsageError } from "./errors.ts";
import { choice, type Option, text } from "./options.ts";

/** What a conversation begins with. */
export interface ConversationOptions {
  readonly system: Option<string | undefined>;
  readonly thinking: Option<"on" | "off" | undefined>;
}

/** Options of conversations. */
export const conversationOptions: ConversationOptions = {
  system: text("TEXT", "A system message"),
  thinking: choice(["on", "off"], "The reasoning switch (default: the model's own habit)"),
};

/** A conversation as a model reads it. */
export interface EncodedPrompt {
  readonly ids: number[];
  /** Whether the template has already opened the thinking part of the answer. */
  readonly inside: boolean;
}

/** The ids of a conversation up to the beginning of the answer. Throws ChatTemplateError. */
export function encodeConversation(
  tokenizer: Tokenizer,
  template: ChatTemplate,
  messages: readonly ChatMessage[],
  thinking: "on" | "off" | undefined,
): EncodedPrompt {
  const on = thinking === "on";
  const switched = thinking === undefined ? messages : setThinking(messages, on);
  const options = {
    addGenerationPrompt: true,
    // How other families than Llama-Nemotron are told.
    ...(thinking === undefined ? {} : { enable_thinking: on }),
  };
  const inside = template.render(switched, options).trimEnd().endsWith(thinkOpen);
  return { ids: template.encode(tokenizer, switched, options), inside };
}

/** The ids of a text to continue; of none, what a text begins with. Throws UsageError when that is nothing. */
export function encodeText(tokenizer: Tokenizer, prompt: string): number[] {
  // What the tokenizer puts after a text would end it.
  const ids = tokenizer.encode(prompt), { bos } = tokenizer.special;
  const whole = tokenizer.encode(prompt === "" ? "a" : prompt, { special: true });
  const begins = bos !== undefined && whole[0] === bos && ids[0] !== bos;
  const started = begins || (ids.length === 0 && bos !== undefined) ? [bos!, ...ids] : ids;
  if (started.length > 0) return started;
  throw new UsageError(
    "generate: this model's texts begin with no token of their own, so there is nothing to start from. Give a --prompt.",
  );
}

/** Throws UsageError for a prompt that the model cannot read. */
export function checkPrompt(
  ids: readonly number[],
  { vocab, context }: { readonly vocab: number; readonly context: number },
): void {
  if (ids.length > context) {
    throw new UsageError(
      `generate: the prompt is too long, ${ids.length} tokens (the model reads ${context}). Shorten it.`,
    );
  }
  const outside = ids.find((id) => id >= vocab);
  if (outside !== undefined) {
    throw new UsageError(
      `tokenizer: it gives token ${outside}, the model has ${vocab}. Use the tokenizer that belongs to the model.`,
    );
  }
}

/** Ids that end a text. A model that has learned many texts in a row begins the next one where one ends. */
export function endsOf({ special: { bos, eos } }: Tokenizer): Set<number> {
  return new Set(bos === undefined ? eos : [...eos, bos]);
}
