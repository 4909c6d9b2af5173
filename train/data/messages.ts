/**
 * Conversations as files write them: OpenAI's messages, and ShareGPT's turns.
 *
 * @module
 */
import type { ChatMessage } from "../../text/mod.ts";
import { RowError } from "./errors.ts";
import { type Fields, isFields, kindOf, list, text } from "./fields.ts";

/** The messages of a field. Parts that are all text become one text, which every template takes. */
export function messageList(value: unknown, field: string): ChatMessage[] {
  const messages = list(value, field);
  if (messages.length === 0) throw new RowError(`"${field}" has no messages. Give at least one.`);
  return messages.map((message, i) => {
    const at = `${field}[${i}]`;
    if (!isFields(message)) {
      throw new RowError(`"${at}" is ${kindOf(message)}. Make it an object with role and content.`);
    }
    // Columns of Parquet files are there, and null, in messages that have no such field.
    const { role, content, ...rest } = withoutNulls(message);
    return {
      ...rest,
      role: text(role, `${at}.role`),
      ...(content === undefined ? {} : { content: contentOf(content, `${at}.content`) }),
    };
  });
}

function withoutNulls(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

function contentOf(content: unknown, field: string): unknown {
  if (typeof content === "string") return content;
  const parts = list(content, field);
  const texts = parts.map((part) => {
    const value = isFields(part) && part.type === "text" ? part.text ?? part.value : undefined;
    return typeof value === "string" ? value : null;
  });
  return texts.includes(null) ? parts : texts.join("");
}

const shareGptRoles: Readonly<Record<string, string>> = {
  system: "system",
  human: "user",
  user: "user",
  gpt: "assistant",
  assistant: "assistant",
  function_call: "assistant",
  observation: "tool",
  tool: "tool",
};

/** The messages of ShareGPT's turns, `{ from, value }`; a `system` field comes first. */
export function shareGptMessages({ conversations, system }: Fields): ChatMessage[] {
  const turns = list(conversations, "conversations");
  if (turns.length === 0) throw new RowError(`"conversations" has no turns. Give at least one.`);
  const messages = turns.map((turn, i) => {
    const at = `conversations[${i}]`;
    if (!isFields(turn)) {
      throw new RowError(`"${at}" is ${kindOf(turn)}. Make it an object with from and value.`);
    }
    return shareGptMessage(text(turn.from, `${at}.from`), text(turn.value, `${at}.value`), at);
  });
  if (typeof system !== "string" || system === "") return messages;
  return [{ role: "system", content: system }, ...messages];
}

function shareGptMessage(from: string, value: string, at: string): ChatMessage {
  const role = Object.hasOwn(shareGptRoles, from) ? shareGptRoles[from] : undefined;
  if (role === undefined) {
    const known = Object.keys(shareGptRoles).join(", ");
    throw new RowError(`"${at}.from" is ${JSON.stringify(from)}. Make it one of ${known}.`);
  }
  if (from !== "function_call") return { role, content: value };
  const call = parseJson(value, `${at}.value`);
  return { role, content: "", tool_calls: [{ type: "function", function: call }] };
}

/** Descriptions of tools: a list, or the text of one. */
export function toolList(value: unknown): readonly unknown[] {
  return list(typeof value === "string" ? parseJson(value || "[]", "tools") : value, "tools");
}

function parseJson(written: string, field: string): unknown {
  try {
    return JSON.parse(written);
  } catch (error) {
    throw new RowError(`"${field}" is not JSON, ${(error as Error).message}. Correct it.`);
  }
}

/** The assistant messages that are not given a weight of 0; undefined where that is all of them. */
export function targetsOf(messages: readonly ChatMessage[]): number[] | undefined {
  const assistant = messages.flatMap(({ role }, i) => role === "assistant" ? [i] : []);
  const trained = assistant.filter((i) => (messages[i].weight ?? messages[i].loss_weight) !== 0);
  return trained.length === assistant.length ? undefined : trained;
}
