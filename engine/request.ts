/**
 * What is asked of the engine, and what it answers.
 *
 * @module
 */

/** Looks at each new token; true ends the text after it. */
export type TokenWatcher = (id: number) => boolean;

/** How to continue a prompt. */
export interface GenerationOptions {
  /** At most so many new tokens for each choice. Texts also end where the model's context or the memory does. */
  readonly maxTokens: number;
  /** Ids that end a text are not drawn before so many tokens; 0 by default. */
  readonly minTokens?: number;
  /** Divides the logits; 0, the default, takes the most likely token. */
  readonly temperature?: number;
  /** Only so many of the most likely tokens are drawn from; 0, the default, for all. */
  readonly topK?: number;
  /** Only the most likely tokens that together reach this probability are drawn from; 1, the default, for all. */
  readonly topP?: number;
  /** Tokens less likely than this share of the most likely one are not drawn; 0, the default, for none. */
  readonly minP?: number;
  /** Logits of tokens that occurred, in the prompt too, are divided by it (multiplied below 0); 1, the default, for none. */
  readonly repetitionPenalty?: number;
  /** Taken off the logits of tokens that were generated; 0 by default. */
  readonly presencePenalty?: number;
  /** Taken off the logits of tokens for each time they were generated; 0 by default. */
  readonly frequencyPenalty?: number;
  /** Added to the logits of some ids; −∞ forbids one. */
  readonly logitBias?: ReadonlyMap<number, number>;
  /** Only ids below this are drawn: those that the tokenizer knows; by default all of the model's. */
  readonly vocabularySize?: number;
  /** Decides what is drawn, together with `sample`, whatever else runs; 0 by default. */
  readonly seed?: number;
  /** Which of several texts of one seed the first choice is; 0 by default. */
  readonly sample?: number;
  /** How many choices; 1 by default. They share what is computed of the prompt. */
  readonly n?: number;
  /** Ids that end a text. */
  readonly stop?: readonly number[];
  /** Whether the id that ended a text is its last token; false by default. */
  readonly keepStop?: boolean;
  /** Called once for each choice; what it returns looks at each token, such as for stop texts. */
  readonly watch?: (choice: number) => TokenWatcher;
  /** Whether to tell the log-probability of each token, which takes time; false by default, unless `topLogProbs` asks. */
  readonly logProbs?: boolean;
  /** How many of the most likely tokens to tell at each place; 0, the default, to 20. */
  readonly topLogProbs?: number;
  /** Smaller numbers run first; 0 by default. */
  readonly priority?: number;
  /** The request ends so many milliseconds after it was added, finished or not. */
  readonly deadlineMs?: number;
  /** Ends the request. */
  readonly signal?: AbortSignal;
}

/** A prompt and how to continue it. */
export interface GenerationRequestOptions extends GenerationOptions {
  /** Token ids; at least one. */
  readonly prompt: readonly number[];
}

/** Why a choice ended: a stop id or text, the most tokens, a cancellation or the deadline, or something that failed. */
export type FinishReason = "stop" | "length" | "abort" | "error";

/** A token that might have been. */
export interface TokenLogProb {
  /** The token. */
  readonly id: number;
  /** The logarithm of its probability. */
  readonly logProb: number;
}

/** A new token. */
export interface TokenEvent {
  /** That it is a token. */
  readonly kind: "token";
  /** Which choice it continues. */
  readonly choice: number;
  /** The token. */
  readonly id: number;
  /** The logarithm of its probability, where it is asked for. */
  readonly logProb: number | null;
  /** The most likely tokens there, as many as were asked for. */
  readonly top: readonly TokenLogProb[];
}

/** The end of a choice. */
export interface FinishEvent {
  /** That it is the end. */
  readonly kind: "finish";
  /** Which choice ended. */
  readonly choice: number;
  /** Why. */
  readonly reason: FinishReason;
  /** The id that ended it, for a stop by id. */
  readonly stopId?: number;
  /** What failed, or who aborted it. */
  readonly error?: Error;
}

/** What happens to a request. */
export type GenerationEvent = TokenEvent | FinishEvent;

/** A finished choice. */
export interface Completion {
  /** Which choice of its request. */
  readonly choice: number;
  /** Its tokens. */
  readonly ids: readonly number[];
  /**
   * The logarithm of the probability of each by the model, before temperature, penalties and filters; none where they are
   * not asked for.
   */
  readonly logProbs: readonly number[];
  /** The most likely tokens at each place, as many as were asked for. */
  readonly top: readonly (readonly TokenLogProb[])[];
  /** Why it ended. */
  readonly reason: FinishReason;
  /** The id that ended it, for a stop by id. */
  readonly stopId?: number;
  /** What failed, or who aborted it. */
  readonly error?: Error;
}

/** A request that the engine works on. Iterating over it gives its events, and makes the engine run. */
export interface Generation extends AsyncIterable<GenerationEvent> {
  /** Number of the request, from 1. */
  readonly id: number;
  /** What was asked for. */
  readonly options: GenerationRequestOptions;
  /** Whether all choices ended. */
  readonly done: boolean;
  /** Prompt tokens that did not need to be computed. */
  readonly reusedTokens: number;
  /** How long it waited before it was first worked on, in milliseconds; 0 while it waits. */
  readonly queueMs: number;
  /** The choices as they are now. */
  readonly completions: Completion[];
  /** Waits until all choices ended. */
  wait(): Promise<Completion[]>;
  /** The events so far, then those to come; each goes to one reader. */
  [Symbol.asyncIterator](): AsyncGenerator<GenerationEvent, void>;
}

/** Something that happened in a step. */
export interface StepEvent {
  /** To whom. */
  readonly request: Generation;
  /** What. */
  readonly event: GenerationEvent;
}

/** A request that makes no sense. */
export class RequestError extends Error {
  /** The name of the class. */
  override readonly name = "RequestError";
  /** An error about the option called `parameter`. */
  constructor(readonly parameter: keyof GenerationRequestOptions, message: string) {
    super(message);
  }
}

/** The engine has as many requests in line as it may. */
export class QueueFullError extends Error {
  /** The name of the class. */
  override readonly name = "QueueFullError";
}

/** A request was cancelled, or its deadline passed. */
export class AbortedError extends Error {
  /** The name of the class. */
  override readonly name = "AbortedError";
}

interface Range {
  readonly least: number;
  readonly most: number;
  readonly whole?: boolean;
}

const ranges: Partial<Record<keyof GenerationOptions, Range>> = {
  maxTokens: { least: 0, most: Number.MAX_SAFE_INTEGER, whole: true },
  minTokens: { least: 0, most: Number.MAX_SAFE_INTEGER, whole: true },
  temperature: { least: 0, most: 1e6 },
  topK: { least: 0, most: Number.MAX_SAFE_INTEGER, whole: true },
  topP: { least: Number.MIN_VALUE, most: 1 },
  minP: { least: 0, most: 1 },
  repetitionPenalty: { least: Number.MIN_VALUE, most: 1e6 },
  presencePenalty: { least: -1e6, most: 1e6 },
  frequencyPenalty: { least: -1e6, most: 1e6 },
  vocabularySize: { least: 1, most: Number.MAX_SAFE_INTEGER, whole: true },
  seed: { least: 0, most: Number.MAX_SAFE_INTEGER, whole: true },
  sample: { least: 0, most: Number.MAX_SAFE_INTEGER, whole: true },
  n: { least: 1, most: 10_000, whole: true },
  topLogProbs: { least: 0, most: 20, whole: true },
  priority: { least: -1e6, most: 1e6 },
  deadlineMs: { least: 0, most: Number.MAX_VALUE },
};

/** What a request must fit. */
export interface RequestLimits {
  /** Tokens that the model knows. */
  readonly vocab: number;
  /** Most tokens of a prompt. */
  readonly longest: number;
}

/** Throw RequestError, naming the option, unless a request makes sense. */
export function checkRequest(
  options: GenerationRequestOptions,
  { vocab, longest }: RequestLimits,
): void {
  for (const [name, { least, most, whole }] of Object.entries(ranges)) {
    const value = options[name as keyof GenerationOptions] as number | undefined;
    if (value === undefined && name !== "maxTokens") continue;
    if (value! >= least && value! <= most && (!whole || Number.isInteger(value))) continue;
    throw new RequestError(
      name as keyof GenerationOptions,
      `request: ${name} is ${value} (${least} to ${most}). Use ${
        whole ? "a whole" : "a"
      } number in between.`,
    );
  }
  const { prompt, stop = [], logitBias } = options;
  if (prompt.length === 0 || prompt.length > longest) {
    throw new RequestError(
      "prompt",
      `request: the prompt has ${prompt.length} tokens (1 to ${longest}). ${
        prompt.length === 0 ? "Start with a token." : "Shorten it, or give the engine more memory."
      }`,
    );
  }
  const known = (id: number): boolean => Number.isInteger(id) && id >= 0 && id < vocab;
  for (
    const [parameter, ids] of [["prompt", prompt], ["stop", stop], ["logitBias", [
      ...logitBias?.keys() ?? [],
    ]]] as const
  ) {
    const odd = ids.find((id) => !known(id));
    if (odd === undefined) continue;
    throw new RequestError(
      parameter,
      `request: ${parameter} has an id ${odd} that the model does not know (0 to ${vocab - 1}).`,
    );
  }
}
