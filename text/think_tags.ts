/**
 * Keeping the thinking part of training targets. Many templates strip `<think>…</think>` from assistant
 * turns, which is right for the history of a dialogue and wrong for what a model is to learn.
 *
 * @module
 */

import type { RenderedTurns } from "./assistant_spans.ts";
import { ThinkStrippedError } from "./errors.ts";
import { type ChatMessage, count, splitReasoning, thinkClose, thinkOpen } from "./reasoning.ts";

/** Private-use characters that stand for the tags while rendering: a template cannot strip what it cannot see. */
const [hiddenOpen, hiddenClose] = ["\u{f8a12}", "\u{f8a13}"];

/** A message's thinking: in its content, or in a field of its own as servers return it. */
function thinkingOf(message: ChatMessage): string {
  const apart = message.reasoning_content ?? message.reasoning;
  if (typeof apart === "string") return apart.trim();
  return typeof message.content === "string" ? splitReasoning(message.content).reasoning : "";
}

/** The messages with the tags of the given turns hidden from the template. */
export function hideThinking(
  messages: readonly ChatMessage[],
  turns: readonly number[],
): ChatMessage[] {
  return messages.map((message, i) => {
    if (!turns.includes(i)) return message;
    const { reasoning_content: _, reasoning: __, ...rest } = message;
    const text = typeof message.content === "string" ? message.content : "";
    const thinking = thinkingOf(message);
    const whole = thinking === "" || text.includes(thinkOpen)
      ? text
      : `${thinkOpen}\n${thinking}\n${thinkClose}\n\n${text}`;
    const content = whole.replaceAll(thinkOpen, hiddenOpen).replaceAll(thinkClose, hiddenClose);
    return { ...rest, role: message.role, content };
  });
}

/** The rendered text with the tags back in place, and the spans moved along. */
export function showThinking({ text, spans }: RenderedTurns): RenderedTurns {
  const show = (hidden: string): string =>
    hidden.replaceAll(hiddenOpen, thinkOpen).replaceAll(hiddenClose, thinkClose);
  const moved = spans.map(({ start, end }) => ({
    start: show(text.slice(0, start)).length,
    end: show(text.slice(0, end)).length,
  }));
  return { text: show(text), spans: moved };
}

/**
 * Throws ThinkStrippedError where the thinking of a target is not in its rendered text, or where the template
 * wrote tags of its own around a target that keeps its thinking.
 */
export function assertThinkingKept(
  targets: readonly ChatMessage[],
  rendered: readonly string[],
  keepThinking: boolean,
): void {
  targets.forEach((target, i) => {
    const thinking = thinkingOf(target);
    if (thinking === "") return;
    const text = rendered[i];
    const tags = [count(text, thinkOpen), count(text, thinkClose)];
    if (!text.includes(thinking) || tags[1] < 1) {
      throw new ThinkStrippedError(
        `chat template: it strips <think> from target ${i}, ${thinking.length} characters of thinking ` +
          `(${text.length} characters rendered). Render targets with keepThinking: true.`,
      );
    }
    if (keepThinking && (tags[0] !== 1 || tags[1] !== 1)) {
      throw new ThinkStrippedError(
        `chat template: it writes <think> of its own into target ${i}, ${tags[0]} <think> and ` +
          `${tags[1]} </think> rendered (1 each expected). Render it without keepThinking.`,
      );
    }
  });
}
