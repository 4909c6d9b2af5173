/**
 * What a reward is.
 *
 * @module
 */
import { type ChatMessage, thinkingSwitch } from "../../text/mod.ts";

/** What a model wrote. */
export interface RewardCompletion {
  /** The text, without the token that ended it. */
  readonly text: string;
  /** Whether the model ended it itself. */
  readonly ended: boolean;
  /** Its tokens, the one that ended it included. */
  readonly tokens: number;
  /** How many tokens it might have had. */
  readonly maxTokens: number;
}

/** The row of data that a prompt came from: `answer`, `messages`, `choices`, `tests`, … */
export interface RewardRow {
  /** Whatever the file says. */
  readonly [field: string]: unknown;
}

/**
 * Scores a completion; most give 1 for a right one and 0 for others. `signal` aborts when nobody waits for the score any
 * more.
 */
export type Reward = (
  completion: RewardCompletion,
  row: RewardRow,
  signal?: AbortSignal,
) => number | Promise<number>;

/** A text field of a row. Throws TypeError where it is missing. */
export function textField(who: string, row: RewardRow, field: string): string {
  const value = row[field];
  if (typeof value === "string") return value;
  if (typeof value === "number") return String(value);
  throw new TypeError(
    `${who}: the row has no text in "${field}" (${typeof value}). Add it to the data.`,
  );
}

/** The conversation of a row: its `messages`, or its `prompt` where that is one; null where there is none. */
export function messagesOfRow({ messages, prompt }: RewardRow): readonly ChatMessage[] | null {
  if (Array.isArray(messages)) return messages;
  return Array.isArray(prompt) ? prompt : null;
}

/** The state of the reasoning switch in a row's system message or its `thinking`; undefined where there is none. */
export function thinkingOfRow(row: RewardRow): boolean | undefined {
  if (typeof row.thinking === "boolean") return row.thinking;
  return thinkingSwitch(messagesOfRow(row) ?? []);
}
