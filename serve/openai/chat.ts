/**
 * How `/v1/chat/completions` writes answers.
 *
 * @module
 */
import type { AnswerDelta, AnswerToken } from "../answer.ts";
import type { ChatRequest } from "../requests.ts";
import { type Dialect, type Ending, finite, type TokenText, type WholeAnswer } from "./dialect.ts";

/** The dialect of a chat request. */
export function chatDialect(request: ChatRequest, text: TokenText): Dialect {
  const logprobs = (tokens: readonly AnswerToken[]): object | null =>
    request.logprobs
      ? { content: tokens.map((token) => chatLogprob(token, text)), refusal: null }
      : null;
  const thinking = (reasoning: string): object =>
    // vLLM's name for it, and everyone else's.
    request.include_reasoning && reasoning !== ""
      ? { reasoning, reasoning_content: reasoning }
      : {};
  const choice = (index: number, delta: object, tokens: readonly AnswerToken[]): object => ({
    index,
    delta,
    logprobs: tokens.length > 0 ? logprobs(tokens) : null,
    finish_reason: null,
  });
  return {
    objects: { whole: "chat.completion", chunk: "chat.completion.chunk" },
    begin: (index) => choice(index, { role: "assistant", content: "", refusal: null }, []),
    delta: (index, { reasoning, content, tokens }: AnswerDelta) =>
      choice(index, { ...(content === "" ? {} : { content }), ...thinking(reasoning) }, tokens),
    end: (index, { reason, stop }: Ending) => ({
      index,
      delta: {},
      logprobs: null,
      finish_reason: reason,
      stop_reason: stop,
    }),
    whole: (index, { reasoning, content, tokens, ending }: WholeAnswer) => ({
      index,
      message: { role: "assistant", content, refusal: null, ...thinking(reasoning) },
      logprobs: logprobs(tokens),
      finish_reason: ending.reason,
      stop_reason: ending.stop,
    }),
  };
}

function chatLogprob({ id, logprob, top }: AnswerToken, text: TokenText): object {
  const entry = (id: number, logprob: number): object => ({
    token: text.textOf(id),
    logprob: finite(logprob),
    bytes: [...text.bytesOf(id)],
  });
  return {
    ...entry(id, logprob),
    top_logprobs: top.map(([id, logprob]) => entry(id, logprob)),
  };
}
