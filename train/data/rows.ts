/**
 * What a row of training data is once its format has been told.
 *
 * @module
 */
import type { ChatMessage } from "../../text/mod.ts";

/** A text to learn by heart: all of its tokens are trained. */
export interface TextRow {
  /** The document, or a piece of it. */
  readonly text: string;
  /** Whether it goes on where another piece ends: nothing marks its beginning. */
  readonly continues?: boolean;
  /** Whether another piece goes on where it ends: nothing marks its end. */
  readonly continued?: boolean;
  /** Whatever else the file says. */
  readonly [field: string]: unknown;
}

/** A text and how it goes on: the completion is trained. */
export interface CompletionRow {
  /** What the model is given. */
  readonly prompt: string;
  /** What it is to write. */
  readonly completion: string;
  /** Whatever else the file says. */
  readonly [field: string]: unknown;
}

/** A conversation: what the assistant says is trained. */
export interface ChatRow {
  /** From the first to the last. */
  readonly messages: readonly ChatMessage[];
  /** Descriptions of tools for the template. */
  readonly tools?: readonly unknown[];
  /** The messages to train, by index; every assistant message where it is left out. */
  readonly targets?: readonly number[];
  /** Whatever else the file says, such as `answer`, `difficulty`, `task`. */
  readonly [field: string]: unknown;
}

/** A row of training data. */
export type Row = TextRow | CompletionRow | ChatRow;

/** Whether a row is a conversation. */
export function isChat(row: Row): row is ChatRow {
  return Array.isArray(row.messages);
}

/** Whether a row is a prompt with its completion. */
export function isCompletion(row: Row): row is CompletionRow {
  return typeof row.prompt === "string" && typeof row.completion === "string";
}
