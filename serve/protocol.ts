/**
 * What the server's thread and the engine's thread tell each other.
 *
 * @module
 */
import type { AnswerToken } from "./answer.ts";
import type { FinishReason } from "./openai/dialect.ts";

/** How a token is chosen, and when an answer ends. */
export interface EngineRequest {
  /** Token ids, at least one. */
  readonly prompt: readonly number[];
  /** At most so many new tokens. */
  readonly maxTokens: number;
  /** Before so many tokens no token ends the answer. */
  readonly minTokens: number;
  /** Ids that end the answer. */
  readonly stop: readonly number[];
  /** 0 takes the most likely token. */
  readonly temperature: number;
  /** 0 for all. */
  readonly topK: number;
  /** 1 for all. */
  readonly topP: number;
  /** 0 for all. */
  readonly minP: number;
  /** 1 for none. */
  readonly repetitionPenalty: number;
  /** 0 for none. */
  readonly presencePenalty: number;
  /** 0 for none. */
  readonly frequencyPenalty: number;
  /** Added to the logits of tokens. */
  readonly logitBias: readonly (readonly [id: number, bias: number])[];
  /** Decides what is drawn. */
  readonly seed: number;
  /** How many of the most likely tokens to tell of; null for no log-probabilities at all. */
  readonly logprobs: number | null;
  /** Lower numbers go first. */
  readonly priority: number;
}

/** Where the model is, and how it is run. */
export interface EngineSource {
  /** Path of the checkpoint. */
  readonly model: string;
  /** What to compute in; by default as the weights are stored. */
  readonly dtype?: "f32" | "bf16";
  /** CPU threads; by default one for every 4 million parameters, of those there are; of many, one is left to HTTP. */
  readonly threads?: number;
  /** Sequences that are computed together. */
  readonly maxRunning: number;
  /** Sequences that are kept at once, running or waiting; more are refused. */
  readonly maxRequests: number;
  /** Memory for keys and values, in bytes. */
  readonly kvBytes?: number;
  /** Ids that may be drawn: those that the tokenizer knows. */
  readonly vocabularySize: number;
}

/** Milliseconds by a clock that all threads of a process share. */
export function sharedNow(): number {
  return performance.timeOrigin + performance.now();
}

/** What the engine's thread is told. */
export type EngineOrder =
  | { readonly kind: "open"; readonly source: EngineSource }
  /** `sentMs`: when it was sent, by the clock that all threads share. */
  | {
    readonly kind: "add";
    readonly id: number;
    readonly request: EngineRequest;
    readonly sentMs: number;
  }
  | { readonly kind: "cancel"; readonly id: number }
  | { readonly kind: "close" };

/** What the engine is like. */
export interface EngineDescription {
  /** The longest sequence, in tokens. */
  readonly context: number;
  /** Token ids of the model. */
  readonly vocab: number;
  /** Tokens whose keys and values fit. */
  readonly kvTokens: number;
  /** What it computes in. */
  readonly dtype: string;
  /** The device, in words. */
  readonly device: string;
  /** Parameters of the model. */
  readonly parameters: number;
}

/** Figures of the engine at one moment. */
export interface EngineFigures {
  /** Sequences in the batch. */
  readonly running: number;
  /** Sequences that wait. */
  readonly waiting: number;
  /** Share of the memory for keys and values that is taken. */
  readonly kvUsage: number;
  /** Times that a sequence lost its memory to others and was put off. */
  readonly preemptions: number;
  /** Prompt tokens that were looked up among kept keys and values. */
  readonly prefixQueries: number;
  /** Those that were found. */
  readonly prefixHits: number;
}

/** How an answer began. */
export interface EngineStart {
  /** From when it was handed to the engine's thread to when the engine began to read the prompt, in ms. */
  readonly queueMs: number;
  /** Tokens of the prompt whose keys and values were there already. */
  readonly cachedTokens: number;
}

/** Tokens of an answer. */
export interface EngineTokens {
  /** Tells it from an end. */
  readonly kind: "tokens";
  /** Whose. */
  readonly id: number;
  /** One or several. */
  readonly tokens: readonly AnswerToken[];
  /** When they came, in ms since the request was handed to the engine's thread. */
  readonly atMs: number;
  /** With the first tokens. */
  readonly start?: EngineStart;
}

/** Many tokens as numbers, which threads pass on much faster than objects: [answer, token, ln p, ms] of each. */
export type PackedTokens = Float64Array;

const packedFields = 4;

/** Packs single tokens; what else they tell is lost. */
export function packTokens(events: readonly EngineTokens[]): PackedTokens {
  const packed = new Float64Array(packedFields * events.length);
  events.forEach(({ id, tokens: [token], atMs }, i) =>
    packed.set([id, token.id, token.logprob, atMs], packedFields * i)
  );
  return packed;
}

/** What was packed. */
export function* unpackTokens(packed: PackedTokens): Generator<EngineTokens> {
  for (let at = 0; at < packed.length; at += packedFields) {
    const token = { id: packed[at + 1], logprob: packed[at + 2], top: [] };
    yield { kind: "tokens", id: packed[at], tokens: [token], atMs: packed[at + 3] };
  }
}

/** The end of an answer. */
export interface EngineEnd {
  /** Tells it from tokens. */
  readonly kind: "end";
  /** Whose. */
  readonly id: number;
  /** Why. */
  readonly reason: FinishReason;
  /** The id that ended it, if one of `stop` did. */
  readonly stop: number | null;
  /** Why this request failed; null when it did not. */
  readonly failure: string | null;
}

/** What came of a step. */
export interface EngineStep {
  /** Tells it from other reports. */
  readonly kind: "step";
  /** Tokens that begin answers. */
  readonly first: readonly EngineTokens[];
  /** Tokens of which there is nothing more to tell. */
  readonly tokens: PackedTokens;
  /** The other tokens, and ends, which come after all tokens. */
  readonly others: readonly (EngineTokens | EngineEnd)[];
  /** The engine afterwards. */
  readonly figures: EngineFigures;
}

/** What the engine's thread tells. */
export type EngineReport =
  | { readonly kind: "ready"; readonly description: EngineDescription }
  | { readonly kind: "failed"; readonly name: string; readonly message: string }
  | EngineStep
  | { readonly kind: "closed" };
