/**
 * What a model answered, as data.
 *
 * @module
 */
import { setThinking } from "../../text/mod.ts";
import type { Row } from "../data/mod.ts";
import { messagesOfRow, type RewardRow } from "../rewards/mod.ts";
import type { JudgedCompletion } from "./evaluate.ts";

/**
 * The row with a model's answer in place of its own, and what the answer was worth: a conversation to learn from. Its switch is
 * as it was when the model was asked. Null for a row that is no conversation.
 */
export function answerRow(
  row: RewardRow,
  { mode, completion, correct, format }: JudgedCompletion,
): Row | null {
  const messages = messagesOfRow(row);
  if (messages === null) return null;
  const { prompt: _prompt, thinking: _thinking, ...fields } = row;
  const asked = messages.slice(0, messages.findLastIndex(({ role }) => role === "user") + 1);
  const answered = [...asked, { role: "assistant", content: completion.text }];
  return {
    ...fields,
    messages: mode === "given" ? answered : setThinking(answered, mode === "on"),
    ended: completion.ended,
    correct,
    format,
  };
}
