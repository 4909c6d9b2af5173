/**
 * What requests hold once they are checked. Names are OpenAI's, or vLLM's where OpenAI has none.
 *
 * @module
 */

/** A piece of a message. */
export interface TextPart {
  /** The only kind that a text model reads. */
  readonly type: "text";
  /** The text. */
  readonly text: string;
}

/** A message of a conversation. */
export interface RequestMessage {
  /** Who says it. */
  readonly role: "system" | "developer" | "user" | "assistant" | "tool";
  /** What is said. */
  readonly content?: string | readonly TextPart[] | null | undefined;
  /** What an earlier answer thought. */
  readonly reasoning_content?: string | null | undefined;
  /** What else the chat template knows. */
  readonly [key: string]: unknown;
}

/** What every endpoint that generates takes. */
export interface GenerationRequest {
  /** As `GET /v1/models` names it; the only one when absent. */
  readonly model?: string | undefined;
  /** Whether the answer is sent piece by piece. */
  readonly stream?: boolean | undefined;
  /** How it is sent. */
  readonly stream_options?: { readonly include_usage?: boolean | undefined } | undefined;
  /** How many answers. */
  readonly n: number;
  /** The same seed gives the same answer. */
  readonly seed?: number | undefined;
  /** Divides the logits; 0 takes the most likely token. */
  readonly temperature: number;
  /** The most likely tokens that together reach this probability. */
  readonly top_p: number;
  /** So many of the most likely tokens; 0 or −1 for all. */
  readonly top_k: number;
  /** Tokens at least so likely, as a share of the most likely one. */
  readonly min_p: number;
  /** Divides the logits of tokens that were there. */
  readonly repetition_penalty: number;
  /** Taken from the logits of tokens that were generated. */
  readonly presence_penalty: number;
  /** Taken from the logits of tokens for each time that they were generated. */
  readonly frequency_penalty: number;
  /** Added to the logits of tokens, by their id. */
  readonly logit_bias: Readonly<Record<string, number>>;
  /** Texts that end the answer. */
  readonly stop: string | readonly string[];
  /** Tokens that end the answer. */
  readonly stop_token_ids: readonly number[];
  /** Whether the text that ended the answer is part of it. */
  readonly include_stop_str_in_output: boolean;
  /** Whether the model's own end does not end the answer. */
  readonly ignore_eos: boolean;
  /** Before so many tokens nothing ends the answer. */
  readonly min_tokens: number;
  /** At most so many tokens. */
  readonly max_tokens?: number | undefined;
  /** Whether tokens without a text of their own are left out. */
  readonly skip_special_tokens: boolean;
  /** Lower numbers go first. */
  readonly priority: number;
  /** Who asks, for the caller's own use. */
  readonly user?: string | undefined;
}

/** `POST /v1/chat/completions`. */
export interface ChatRequest extends GenerationRequest {
  /** The conversation so far. */
  readonly messages: readonly RequestMessage[];
  /** The newer name of `max_tokens`. */
  readonly max_completion_tokens?: number | undefined;
  /** Whether the answer tells how likely its tokens were. */
  readonly logprobs: boolean;
  /** How many of the most likely tokens it tells at each place. */
  readonly top_logprobs: number;
  /** "none" answers without thinking, any other with. */
  readonly reasoning_effort?: "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | undefined;
  /** Whether the thinking is part of the response. */
  readonly include_reasoning: boolean;
  /** Variables of the chat template; `enable_thinking` is the reasoning switch. */
  readonly chat_template_kwargs: Readonly<Record<string, unknown>>;
}

/** `POST /v1/completions`. */
export interface CompletionRequest extends GenerationRequest {
  /** A text, token ids, or a list of either. */
  readonly prompt:
    | string
    | readonly string[]
    | readonly number[]
    | readonly (readonly number[])[];
  /** Whether the answer begins with the prompt. */
  readonly echo: boolean;
  /** How many of the most likely tokens the answer tells at each place, with the chosen one's likelihood. */
  readonly logprobs?: number | undefined;
  /** Whether a text gets what the tokenizer puts around it. */
  readonly add_special_tokens: boolean;
}

/** `POST /tokenize`. */
export interface TokenizeRequest {
  /** As `GET /v1/models` names it. */
  readonly model?: string | undefined;
  /** A text. */
  readonly prompt?: string | undefined;
  /** A conversation, as the model would read it. */
  readonly messages?: readonly RequestMessage[] | undefined;
  /** Whether a text gets what the tokenizer puts around it. */
  readonly add_special_tokens: boolean;
  /** Whether a conversation ends with the beginning of an answer. */
  readonly add_generation_prompt: boolean;
  /** Variables of the chat template. */
  readonly chat_template_kwargs: Readonly<Record<string, unknown>>;
}

/** `POST /detokenize`. */
export interface DetokenizeRequest {
  /** As `GET /v1/models` names it. */
  readonly model?: string | undefined;
  /** Token ids. */
  readonly tokens: readonly number[];
}
