/**
 * Finding the assistant turns in a rendered conversation.
 *
 * @module
 */

import { ChatTemplateError } from "./errors.ts";
import type { ChatMessage } from "./reasoning.ts";

/** A part of a text: UTF-16 indices, the end not included. */
export interface Span {
  /** First index. */
  readonly start: number;
  /** Index after the last. */
  readonly end: number;
}

/** A rendered conversation with its assistant turns. */
export interface RenderedTurns {
  /** The whole text. */
  readonly text: string;
  /** The targets in it, in order. */
  readonly spans: readonly Span[];
}

/** Renders part of a conversation with a template source, with or without a generation prompt. */
export type RenderPart = (
  source: string,
  messages: readonly ChatMessage[],
  generationPrompt: boolean,
) => string;

const generationTag = /\{%(-?)\s*(end)?generation\s*(-?)%\}/gu;

/** Private-use characters that stand for the beginning and end of a generation block while rendering. */
const [openMark, closeMark] = ["\u{f8a10}", "\u{f8a11}"];

/**
 * The spans of the assistant turns with the indices `turns`.
 *
 * Throws ChatTemplateError where the template does not let them be told apart.
 */
export function assistantSpans(
  source: string,
  messages: readonly ChatMessage[],
  turns: readonly number[],
  render: RenderPart,
): RenderedTurns {
  return source.search(generationTag) >= 0
    ? fromGenerationBlocks(source, messages, turns, render)
    : fromPrefixes(source, messages, turns, render);
}

/** Renders with marks in place of the tags, and reads the spans off the marks. */
function fromGenerationBlocks(
  source: string,
  messages: readonly ChatMessage[],
  turns: readonly number[],
  render: RenderPart,
): RenderedTurns {
  // A block statement on each side keeps the white-space rules that apply around the tag itself.
  const marked = source.replace(
    generationTag,
    (_, left, end, right) =>
      `{%${left} if true %}{{ '${end === undefined ? openMark : closeMark}' }}{% endif ${right}%}`,
  );
  const parts = render(marked, messages, false).split(/[\u{f8a10}\u{f8a11}]/u);
  const text = parts.join("");
  const assistants = messages.flatMap(({ role }, i) => role === "assistant" ? [i] : []);
  if (text !== render(source, messages, false) || parts.length !== 2 * assistants.length + 1) {
    throw new ChatTemplateError(
      `chat template: its {% generation %} blocks are not one per assistant turn, ` +
        `${
          (parts.length - 1) / 2
        } rendered (${assistants.length} turns). Put one around every assistant turn.`,
    );
  }
  const spans: Span[] = [];
  let at = 0;
  parts.forEach((part, i) => {
    if (i % 2 === 1) spans.push({ start: at, end: at + part.length });
    at += part.length;
  });
  return { text, spans: spans.filter((_, i) => turns.includes(assistants[i])) };
}

/**
 * Renders the conversation up to a turn, with a generation prompt, and up to its end: what lies
 * between is what the model has to write. Sound only if both are beginnings of the whole text.
 */
function fromPrefixes(
  source: string,
  messages: readonly ChatMessage[],
  turns: readonly number[],
  render: RenderPart,
): RenderedTurns {
  const text = render(source, messages, false);
  const spans = turns.map((turn) => {
    const before = render(source, messages.slice(0, turn), true);
    const after = turn === messages.length - 1
      ? text
      : render(source, messages.slice(0, turn + 1), false);
    if (!text.startsWith(before) || !text.startsWith(after) || after.length < before.length) {
      throw new ChatTemplateError(
        `chat template: message ${turn} renders differently as a prompt and inside the whole ` +
          `conversation (${messages.length} messages). Train on the last turn only ` +
          '(targets: "last"), begin the target with what the prompt ends with, or put ' +
          "{% generation %} around assistant turns in the template.",
      );
    }
    return { start: before.length, end: after.length };
  });
  return { text, spans };
}
