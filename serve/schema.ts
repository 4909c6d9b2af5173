/**
 * What requests may hold. The OpenAPI document is made of the same schemas.
 *
 * @module
 */
import { z } from "zod";
import { type ApiError, invalid } from "./errors.ts";
import type {
  ChatRequest,
  CompletionRequest,
  DetokenizeRequest,
  TokenizeRequest,
} from "./requests.ts";

const tokenId = z.int().min(0);
const flag = z.boolean();

/** Fields that every endpoint that generates takes. Limits are OpenAI's where it has the field, else vLLM's. */
const generation = {
  model: z.string().optional().describe("As GET /v1/models names it"),
  stream: flag.optional().describe("Send the answer piece by piece, as server-sent events"),
  stream_options: z.looseObject({
    include_usage: flag.optional().describe("End with a chunk that counts the tokens"),
  }).optional(),
  n: z.int().min(1).max(16).default(1).describe("How many answers"),
  seed: z.int().optional().describe("The same seed gives the same answer, whatever else runs"),
  temperature: z.number().min(0).max(2).default(1).describe("0 takes the most likely token"),
  top_p: z.number().gt(0).max(1).default(1),
  top_k: z.int().min(-1).default(0).describe("0 or -1 for all"),
  min_p: z.number().min(0).max(1).default(0).describe("Of the most likely token's probability"),
  repetition_penalty: z.number().gt(0).max(10).default(1),
  presence_penalty: z.number().min(-2).max(2).default(0),
  frequency_penalty: z.number().min(-2).max(2).default(0),
  logit_bias: z.record(
    z.string().regex(/^\d+$/, "must name token ids"),
    z.number().min(-100).max(100),
  )
    .refine((bias) => Object.keys(bias).length <= 1024, "may name at most 1024 tokens")
    .default({}),
  stop: z.union([z.string(), z.array(z.string()).max(4)]).default([])
    .describe("Texts that end the answer; they are not part of it"),
  stop_token_ids: z.array(tokenId).max(64).default([]),
  include_stop_str_in_output: flag.default(false),
  ignore_eos: flag.default(false),
  min_tokens: z.int().min(0).default(0),
  max_tokens: z.int().min(1).optional().describe("At most so many new tokens"),
  skip_special_tokens: flag.default(true),
  priority: z.int().min(-1000).max(1000).default(0).describe("Lower numbers go first"),
  user: z.string().optional(),
};

const textPart = z.looseObject({ type: z.literal("text"), text: z.string() });

const message = z.looseObject({
  role: z.enum(["system", "developer", "user", "assistant", "tool"]),
  content: z.union([z.string(), z.array(textPart)]).nullish(),
  reasoning_content: z.string().nullish(),
});

/** `POST /v1/chat/completions`. Fields that are not here are ignored, as other servers do. */
export const chatRequest: z.ZodType<ChatRequest> = z.looseObject({
  ...generation,
  messages: z.array(message).min(1).max(2048),
  max_completion_tokens: z.int().min(1).optional().describe("The newer name of max_tokens"),
  logprobs: flag.default(false),
  top_logprobs: z.int().min(0).max(20).default(0),
  reasoning_effort: z.enum(["none", "minimal", "low", "medium", "high", "xhigh"]).optional()
    .describe("none answers without thinking, any other with"),
  include_reasoning: flag.default(true),
  chat_template_kwargs: z.record(z.string(), z.unknown()).default({})
    .describe("Variables of the chat template; enable_thinking is the reasoning switch"),
});

/** `POST /v1/completions`. */
export const completionRequest: z.ZodType<CompletionRequest> = z.looseObject({
  ...generation,
  prompt: z.union([
    z.string(),
    z.array(z.string()).min(1).max(64),
    z.array(tokenId).min(1),
    z.array(z.array(tokenId).min(1)).min(1).max(64),
  ]),
  echo: flag.default(false).describe("Begin with the prompt"),
  logprobs: z.int().min(0).max(5).optional(),
  add_special_tokens: flag.default(true),
});

/** `POST /tokenize`: of a text, or of a conversation as the model would read it. */
export const tokenizeRequest: z.ZodType<TokenizeRequest> = z.looseObject({
  model: z.string().optional(),
  prompt: z.string().optional(),
  messages: z.array(message).min(1).optional(),
  add_special_tokens: flag.default(true),
  add_generation_prompt: flag.default(true),
  chat_template_kwargs: z.record(z.string(), z.unknown()).default({}),
}).refine(({ prompt, messages }) => (prompt === undefined) !== (messages === undefined), {
  message: "give either a prompt or messages",
  path: ["prompt"],
});

/** `POST /detokenize`. */
export const detokenizeRequest: z.ZodType<DetokenizeRequest> = z.looseObject({
  model: z.string().optional(),
  tokens: z.array(tokenId),
});

/** Fields that clients may know from elsewhere, and what it means to use them. */
const unsupported: Readonly<Record<string, (value: unknown) => boolean>> = {
  tools: isUsed,
  functions: isUsed,
  tool_choice: (value) => value !== "none" && value !== "auto",
  function_call: (value) => value !== "none" && value !== "auto",
  response_format: (value) => (value as { type?: unknown }).type !== "text",
  structured_outputs: isUsed,
  guided_json: isUsed,
  guided_regex: isUsed,
  guided_choice: isUsed,
  guided_grammar: isUsed,
  audio: isUsed,
  modalities: (value) => JSON.stringify(value) !== '["text"]',
  prediction: isUsed,
  web_search_options: isUsed,
  prompt_logprobs: isUsed,
  truncate_prompt_tokens: isUsed,
  suffix: (value) => value !== "",
  best_of: (value) => value !== 1,
  bad_words: isUsed,
  allowed_token_ids: isUsed,
  continue_final_message: (value) => value === true,
  chat_template: isUsed,
};

function isUsed(value: unknown): boolean {
  return !(Array.isArray(value) && value.length === 0);
}

/**
 * A request body that fits its schema. Fields that are null count as absent, as clients mean them. Throws ApiError that names
 * the first field that does not fit, or that this server does not support.
 */
export function checkRequest<T>(schema: z.ZodType<T>, body: unknown): T {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw invalid("body", "The body must be a JSON object.");
  }
  const given = Object.entries(body).filter(([, value]) => value !== null);
  for (const [field, value] of given) {
    if (!Object.hasOwn(unsupported, field) || !unsupported[field](value)) continue;
    throw invalid(field, `This server does not support '${field}'.`, "unsupported_parameter");
  }
  const result = schema.safeParse(Object.fromEntries(given));
  if (result.success) return result.data;
  throw fieldError(result.error.issues[0]);
}

function fieldError(issue: z.core.$ZodIssue): ApiError {
  const field = fieldName(issue.path);
  // Of a union, the branch that got furthest says most.
  const deeper = issue.code === "invalid_union"
    ? issue.errors.flat().filter(({ path }) => path.length > 0)
    : [];
  if (deeper.length > 0) {
    const [first] = deeper.toSorted((a, b) => b.path.length - a.path.length);
    return fieldError({ ...first, path: [...issue.path, ...first.path] } as z.core.$ZodIssue);
  }
  return invalid(field, `Invalid '${field}': ${issue.message}.`, "invalid_value");
}

/** `messages[0].content` as OpenAI writes it. */
function fieldName(path: readonly PropertyKey[]): string {
  return path.map((part, i) =>
    typeof part === "number" ? `[${part}]` : `${i === 0 ? "" : "."}${String(part)}`
  ).join("") || "body";
}
