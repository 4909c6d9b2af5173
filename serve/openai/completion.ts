/**
 * How `/v1/completions` writes answers.
 *
 * @module
 */
import type { AnswerToken } from "../answer.ts";
import type { CompletionRequest } from "../requests.ts";
import { type Dialect, finite, type TokenText, topByText } from "./dialect.ts";

/** The dialect of a completion request. `prefixes` are what each answer begins with: the prompt, when it is echoed. */
export function completionDialect(
  request: CompletionRequest,
  text: TokenText,
  prefixes: readonly string[],
): Dialect {
  const offsets = prefixes.map((prefix) => prefix.length);
  const logprobs = (index: number, tokens: readonly AnswerToken[]): object | null => {
    if (request.logprobs === undefined) return null;
    const texts = tokens.map(({ id }) => text.textOf(id));
    return {
      tokens: texts,
      token_logprobs: tokens.map(({ logprob }) => finite(logprob)),
      top_logprobs: tokens.map((token) => topByText(token, text)),
      text_offset: texts.map((piece) => (offsets[index] += piece.length) - piece.length),
    };
  };
  return {
    objects: { whole: "text_completion", chunk: "text_completion" },
    begin: (index) =>
      prefixes[index] === ""
        ? null
        : { index, text: prefixes[index], logprobs: null, finish_reason: null },
    delta: (index, { content, tokens }) => ({
      index,
      text: content,
      logprobs: logprobs(index, tokens),
      finish_reason: null,
    }),
    end: (index, { reason, stop }) => ({
      index,
      text: "",
      logprobs: null,
      finish_reason: reason,
      stop_reason: stop,
    }),
    whole: (index, { content, tokens, ending }) => ({
      index,
      text: prefixes[index] + content,
      logprobs: logprobs(index, tokens),
      finish_reason: ending.reason,
      stop_reason: ending.stop,
    }),
  };
}
