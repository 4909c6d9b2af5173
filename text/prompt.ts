/**
 * What a model reads before it answers: a text as it is, or a conversation in the model's chat template.
 *
 * @module
 */
import type { ChatTemplate, RenderOptions } from "./chat.ts";
import { TokenizerError } from "./errors.ts";
import { type ChatMessage, setThinking, thinkOpen } from "./reasoning.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** How a conversation is put to a model. */
export interface ConversationOptions extends RenderOptions {
  /** The reasoning switch; left to the model when undefined. */
  readonly thinking?: boolean | undefined;
}

/** A conversation as a model reads it. */
export interface EncodedConversation {
  /** ids: [time], up to the beginning of the answer. */
  readonly ids: number[];
  /** Whether the template has already opened the thinking part of the answer. */
  readonly inside: boolean;
}

/**
 * The ids of a conversation up to the beginning of the answer. Throws ChatTemplateError.
 *
 * @example
 * ```ts
 * import { ChatTemplate, encodeConversation, trainBpe } from "@denotron/denotron/text";
 * import assert from "node:assert/strict";
 *
 * const tokenizer = trainBpe(["a"], { vocabularySize: 256 }).tokenizer();
 * const template = ChatTemplate.for(tokenizer);
 * const { ids } = encodeConversation(tokenizer, template, [{ role: "user", content: "Hi" }], {
 *   thinking: true,
 * });
 * assert.ok(tokenizer.decode(ids).includes("detailed thinking on"));
 * ```
 */
export function encodeConversation(
  tokenizer: Tokenizer,
  template: ChatTemplate,
  messages: readonly ChatMessage[],
  { thinking, ...variables }: ConversationOptions = {},
): EncodedConversation {
  const switched = thinking === undefined ? messages : setThinking(messages, thinking);
  const options = {
    addGenerationPrompt: true,
    // How other families than Llama-Nemotron are told.
    ...(thinking === undefined ? {} : { enable_thinking: thinking }),
    ...variables,
  };
  const inside = template.render(switched, options).trimEnd().endsWith(thinkOpen);
  return { ids: template.encode(tokenizer, switched, options), inside };
}

/**
 * The ids of a text to continue; of an empty one, what a text begins with. Throws TokenizerError when that is nothing.
 *
 * @example
 * ```ts
 * import { encodePrompt, trainBpe } from "@denotron/denotron/text";
 * import assert from "node:assert/strict";
 *
 * const tokenizer = trainBpe(["a"], { vocabularySize: 256 }).tokenizer();
 * assert.equal(encodePrompt(tokenizer, "abc").length, 3);
 * assert.throws(() => encodePrompt(tokenizer, ""));
 * ```
 */
export function encodePrompt(tokenizer: Tokenizer, prompt: string): number[] {
  // What the tokenizer puts after a text would end it.
  const ids = tokenizer.encode(prompt), { bos } = tokenizer.special;
  const whole = tokenizer.encode(prompt === "" ? "a" : prompt, { special: true });
  const begins = bos !== undefined && whole[0] === bos && ids[0] !== bos;
  const started = begins || (ids.length === 0 && bos !== undefined) ? [bos!, ...ids] : ids;
  if (started.length > 0) return started;
  throw new TokenizerError(
    "prompt: it is empty, and this model's texts begin with no token of their own. Give a text to start from.",
  );
}

/** Ids that end a text. A model that has learned many texts in a row begins the next one where one ends. */
export function endsOf({ special: { bos, eos } }: Tokenizer): Set<number> {
  return new Set(bos === undefined ? eos : [...eos, bos]);
}

/**
 * Texts that end an answer beside the model's own ends: what the plain default template writes around messages, since a
 * model that was not trained with it may go on with them; none for a model that has a template.
 */
export function templateStops({ chatTemplate }: Tokenizer): readonly string[] {
  return chatTemplate === undefined ? ["<|end|>", "<|user|>", "<|system|>", "<|assistant|>"] : [];
}
