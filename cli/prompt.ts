/**
 * Options of what a model reads, and whether it can.
 *
 * @module
 */
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

/** The reasoning switch as text/ takes it. */
export function isOn(thinking: "on" | "off" | undefined): boolean | undefined {
  return thinking === undefined ? undefined : thinking === "on";
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
