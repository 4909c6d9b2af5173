/**
 * From checked requests to what the engine and the text of answers need.
 *
 * @module
 */
import {
  type ChatMessage,
  type ChatTemplate,
  ChatTemplateError,
  encodeConversation,
  encodePrompt,
  endsOf,
  templateStops,
  type Tokenizer,
} from "../text/mod.ts";
import type { AnswerOptions } from "./answer.ts";
import { invalid } from "./errors.ts";
import type { AnswerJob } from "./generation.ts";
import type {
  ChatRequest,
  CompletionRequest,
  GenerationRequest,
  RequestMessage,
} from "./requests.ts";

/** What prompts are made for. */
export interface PromptModel {
  /** The model's tokenizer. */
  readonly tokenizer: Tokenizer;
  /** How conversations are written. Throws ChatTemplateError for a template that does not parse. */
  readonly template: ChatTemplate;
  /** The longest sequence, in tokens. */
  readonly context: number;
  /** Token ids of the model. */
  readonly vocab: number;
}

/** The conversation of a request as the model reads it. Throws ApiError for one that the template refuses. */
export function encodeMessages(
  model: Pick<PromptModel, "tokenizer" | "template">,
  messages: readonly RequestMessage[],
  variables: Readonly<Record<string, unknown>>,
  options: { readonly thinking?: boolean | undefined; readonly addGenerationPrompt?: boolean } = {},
): { readonly ids: number[]; readonly inside: boolean } {
  try {
    return encodeConversation(model.tokenizer, model.template, messages.map(toChatMessage), {
      ...variables,
      ...options,
    });
  } catch (error) {
    if (error instanceof ChatTemplateError) throw invalid("messages", error.message);
    throw error;
  }
}

/** Text parts in one piece, and the newer name of system messages as templates know it. */
function toChatMessage({ role, content, ...rest }: RequestMessage): ChatMessage {
  const text = typeof content === "string"
    ? content
    : content?.map(({ text }) => text).join("") ?? "";
  return { ...rest, role: role === "developer" ? "system" : role, content: text };
}

/** What a request says of the reasoning switch; undefined when it says nothing. */
export function thinkingOf(request: ChatRequest): boolean | undefined {
  const { enable_thinking, thinking } = request.chat_template_kwargs;
  const given = enable_thinking ?? thinking;
  if (typeof given === "boolean") return given;
  if (given !== undefined) {
    throw invalid("chat_template_kwargs.enable_thinking", "The reasoning switch is true or false.");
  }
  return request.reasoning_effort && request.reasoning_effort !== "none";
}

/** The answers that a chat request asks for. */
export function chatJobs(request: ChatRequest, model: PromptModel): AnswerJob[] {
  const { tokenizer } = model;
  const { ids, inside } = encodeMessages(
    model,
    request.messages,
    request.chat_template_kwargs,
    { thinking: thinkingOf(request) },
  );
  const logprobs = request.logprobs ? request.top_logprobs : null;
  if (!request.logprobs && request.top_logprobs > 0) {
    throw invalid("top_logprobs", "'top_logprobs' needs 'logprobs' to be true.");
  }
  const stops = [...listOf(request.stop), ...templateStops(tokenizer)];
  const most = request.max_completion_tokens ?? request.max_tokens;
  return jobsFor(ids, request, model, { most, logprobs, stops, thinking: { inside } });
}

/** The prompts of a completion request, as ids. */
export function completionPrompts(
  { prompt, add_special_tokens }: CompletionRequest,
  tokenizer: Tokenizer,
): number[][] {
  const encode = (text: string): number[] =>
    add_special_tokens || text === "" ? encodePrompt(tokenizer, text) : tokenizer.encode(text);
  if (typeof prompt === "string") return [encode(prompt)];
  const list = prompt as readonly (string | number | readonly number[])[];
  if (typeof list[0] === "number") return [[...prompt as readonly number[]]];
  return list.map((one) => typeof one === "string" ? encode(one) : [...one as readonly number[]]);
}

/** The answers that a completion request asks for: `n` for each prompt. */
export function completionJobs(
  request: CompletionRequest,
  prompts: readonly (readonly number[])[],
  model: PromptModel,
): AnswerJob[] {
  if (request.echo && request.logprobs !== undefined) {
    throw invalid("echo", "This server does not support 'echo' together with 'logprobs'.");
  }
  const options = {
    most: request.max_tokens ?? defaultCompletionTokens,
    logprobs: request.logprobs ?? null,
    stops: listOf(request.stop),
    thinking: null,
  };
  return prompts.flatMap((ids) => jobsFor(ids, request, model, options));
}

/** OpenAI's default for completions. */
const defaultCompletionTokens = 16;

/** What the two kinds of requests do not have in common. */
interface JobOptions {
  readonly most: number | undefined;
  readonly logprobs: number | null;
  readonly stops: readonly string[];
  readonly thinking: AnswerOptions["thinking"];
}

/** `n` answers to one prompt. */
function jobsFor(
  prompt: readonly number[],
  request: GenerationRequest,
  model: PromptModel,
  { most, logprobs, stops, thinking }: JobOptions,
): AnswerJob[] {
  const ends = request.ignore_eos ? [] : [...endsOf(model.tokenizer)];
  const seed = request.seed ?? crypto.getRandomValues(new Uint32Array(1))[0];
  const maxTokens = fittingTokens(prompt.length, most, model.context);
  const bias = Object.entries(request.logit_bias).map(([id, value]) =>
    [Number(id), value] as const
  );
  checkIds("prompt", prompt, model.vocab);
  checkIds("stop_token_ids", request.stop_token_ids, model.vocab);
  checkIds("logit_bias", bias.map(([id]) => id), model.vocab);
  return Array.from({ length: request.n }, (_, i) => ({
    request: {
      prompt,
      maxTokens,
      minTokens: request.min_tokens,
      stop: [...ends, ...request.stop_token_ids],
      temperature: request.temperature,
      topK: Math.max(0, request.top_k),
      topP: request.top_p,
      minP: request.min_p,
      repetitionPenalty: request.repetition_penalty,
      presencePenalty: request.presence_penalty,
      frequencyPenalty: request.frequency_penalty,
      logitBias: bias,
      seed: wholeSeed(seed, i),
      logprobs,
      priority: request.priority,
    },
    text: {
      stops,
      includeStop: request.include_stop_str_in_output,
      minTokens: request.min_tokens,
      skipSpecial: request.skip_special_tokens,
      thinking,
    },
  }));
}

/** A seed of its own for each of several answers, never negative. */
function wholeSeed(seed: number, answer: number): number {
  return Number(BigInt.asUintN(52, BigInt(seed))) + answer;
}

/** How many new tokens there may be. Throws ApiError when they would not fit behind the prompt. */
function fittingTokens(prompt: number, most: number | undefined, context: number): number {
  const room = context - prompt;
  if (room >= 1 && (most === undefined || most <= room)) return most ?? room;
  const asked = most === undefined ? "" : ` and asks for ${most} more`;
  throw invalid(
    "messages",
    `The model reads ${context} tokens. The prompt has ${prompt}${asked}` +
      ` (${prompt + (most ?? 1)} vs ${context}). Shorten it, or ask for fewer.`,
    "context_length_exceeded",
  );
}

function checkIds(field: string, ids: readonly number[], vocab: number): void {
  const outside = ids.find((id) => id >= vocab);
  if (outside === undefined) return;
  throw invalid(
    field,
    `Invalid '${field}': token ${outside} is not one of the model's ${vocab}.`,
    "invalid_value",
  );
}

function listOf(value: string | readonly string[]): string[] {
  return (typeof value === "string" ? [value] : [...value]).filter((text) => text !== "");
}
