/**
 * What endpoints write in common: the frame around answers, and how tokens are counted.
 *
 * @module
 */
import type { AnswerDelta, AnswerToken } from "../answer.ts";

/** Why an answer ended, as OpenAI names it; "abort" when the server was told to stop. */
export type FinishReason = "stop" | "length" | "abort";

/** How an answer ended. */
export interface Ending {
  /** Why. */
  readonly reason: FinishReason;
  /** The text or token that ended it; null for the model's own end. */
  readonly stop: string | number | null;
  /** New tokens. */
  readonly tokens: number;
  /** New tokens of the thinking part. */
  readonly reasoningTokens: number;
  /** Tokens of the prompt. */
  readonly promptTokens: number;
  /** Tokens of the prompt whose keys and values were there already. */
  readonly cachedTokens: number;
  /** How long it took. */
  readonly times: AnswerTimes;
}

/** How long the engine took for an answer, in ms. */
export interface AnswerTimes {
  /** From when the engine knew of the request to when it began with it. */
  readonly queueMs: number;
  /** From then to the first token. */
  readonly promptMs: number;
  /** From the first token to the last. */
  readonly predictedMs: number;
}

/** What all responses to one request say of themselves. */
export interface Frame {
  /** Such as `chatcmpl-…`. */
  readonly id: string;
  /** Unix time, in seconds. */
  readonly created: number;
  /** The model's name. */
  readonly model: string;
  /** Changes when weights or program do. */
  readonly system_fingerprint: string;
}

/** An answer that is complete. */
export interface WholeAnswer extends AnswerDelta {
  /** How it ended. */
  readonly ending: Ending;
}

/** How an endpoint writes answers. `index` tells those of one request apart. */
export interface Dialect {
  /** The `object` of a response, and of a piece of one. */
  readonly objects: { readonly whole: string; readonly chunk: string };
  /** The choice of a chunk before any text; null for none. */
  begin(index: number): object | null;
  /** The choice of a chunk with some text. */
  delta(index: number, delta: AnswerDelta): object;
  /** The choice of the last chunk. */
  end(index: number, ending: Ending): object;
  /** The choice of a response that is not streamed. */
  whole(index: number, answer: WholeAnswer): object;
}

/** `usage` of a response. */
export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
  readonly completion_tokens_details: { readonly reasoning_tokens: number };
}

/** `usage` of answers to one or several prompts; answers to the same prompt count it once. */
export function usageOf(endings: readonly Ending[], answersPerPrompt: number): Usage {
  const sum = (of: (ending: Ending) => number, list = endings): number =>
    list.reduce((total, ending) => total + of(ending), 0);
  const first = endings.filter((_, i) => i % answersPerPrompt === 0);
  const prompt = sum(({ promptTokens }) => promptTokens, first);
  const completion = sum(({ tokens }) => tokens);
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: sum(({ cachedTokens }) => cachedTokens, first) },
    completion_tokens_details: {
      reasoning_tokens: sum(({ reasoningTokens }) => reasoningTokens),
    },
  };
}

/** `timings` as llama.cpp's server has them. */
export function timingsOf({ tokens, promptTokens, cachedTokens, times }: Ending): object {
  const { queueMs, promptMs, predictedMs } = times, read = promptTokens - cachedTokens;
  // The first token belongs to the prompt's time.
  const rate = (count: number, ms: number): number => ms > 0 ? 1000 * count / ms : 0;
  return {
    cache_n: cachedTokens,
    prompt_n: read,
    queue_ms: queueMs,
    prompt_ms: promptMs,
    prompt_per_second: rate(read, promptMs),
    predicted_n: tokens,
    predicted_ms: predictedMs,
    predicted_per_second: rate(Math.max(0, tokens - 1), predictedMs),
  };
}

/** What a token stands for. */
export interface TokenText {
  /** The text; U+FFFD for bytes that are no whole character. */
  textOf(id: number): string;
  /** The bytes. */
  bytesOf(id: number): Uint8Array;
}

/** Only −∞ cannot be written as JSON; clients take this for it. */
const least = -9999;

/** A log-probability as JSON can say it. */
export function finite(logprob: number): number {
  return Number.isFinite(logprob) ? logprob : least;
}

/** The most likely tokens in the place of another, the chosen one among them, as completions have it. */
export function topByText(token: AnswerToken, text: TokenText): Record<string, number> {
  return Object.fromEntries(
    [...token.top, [token.id, token.logprob] as const]
      .map(([id, logprob]) => [text.textOf(id), finite(logprob)]),
  );
}
