/**
 * How training and evaluation get completions from a model, whatever computes them.
 *
 * @module
 */
import type { Engine } from "../engine/mod.ts";
import { type Decoder, generate } from "../nn/mod.ts";
import { RandomKey } from "../tensor/mod.ts";

/** What a model is asked for. */
export interface CompletionOptions {
  /** At most so many new tokens for each prompt. */
  readonly maxTokens: number;
  /** Ids that end a completion. */
  readonly stop: readonly number[];
  /** Divides the logits; 0, the default, takes the most likely token. */
  readonly temperature?: number;
  /** Only so many of the most likely tokens are drawn from; 0, the default, for all. */
  readonly topK?: number;
  /** Only the most likely tokens that together reach this probability are drawn from; 1, the default, for all. */
  readonly topP?: number;
  /** Decides what is drawn, for each prompt by its place in the list; 0 by default. */
  readonly seed?: number;
  /** Whether the log-probability of each id is wanted; false by default. */
  readonly logProbs?: boolean;
  /** Ends it all with an error when it aborts; plain generation from a decoder goes on. */
  readonly signal?: AbortSignal;
  /** Called with each completion when it is ready, in any order. */
  readonly onCompletion?: (completion: CompletionIds, prompt: number) => void;
}

/** The tokens of a completion. */
export interface CompletionIds {
  /** New ids, with the one that ended it. */
  readonly ids: readonly number[];
  /** Whether one of the stops ended it. */
  readonly ended: boolean;
  /** The log-probability of each id as it was drawn; null where the generator does not tell, or they are not wanted. */
  readonly logProbs: readonly number[] | null;
}

/** Continues each prompt once. Prompts that repeat get completions of their own. */
export type CompletionSource = (
  prompts: readonly (readonly number[])[],
  options: CompletionOptions,
) => Promise<CompletionIds[]>;

/** Completions by plain generation from a decoder, `batch` prompts at a time (64 by default). */
export function decoderCompletions(
  decoder: Decoder,
  { batch = 64 }: { readonly batch?: number } = {},
): CompletionSource {
  return (prompts, { seed = 0, onCompletion, signal: _, ...options }) => {
    const completions: CompletionIds[] = [];
    for (let start = 0; start < prompts.length; start += batch) {
      const part = prompts.slice(start, start + batch);
      const ids: number[][] = part.map(() => []);
      const drawn = { ...options, keepStop: true, seed: seedOf(seed, "completions", start) };
      for (const { sequence, id } of generate(decoder, part, drawn)) ids[sequence].push(id);
      for (const tokens of ids) {
        const ended = options.stop.includes(tokens.at(-1) ?? -1);
        const completion = { ids: tokens, ended, logProbs: null };
        onCompletion?.(completion, completions.length);
        completions.push(completion);
      }
    }
    return Promise.resolve(completions);
  };
}

/** A seed for one of many uses of another one. */
export function seedOf(seed: number, purpose: string, ...places: readonly number[]): number {
  const key = places.reduce((key, place) => key.derive(place), new RandomKey(seed).derive(purpose));
  return key.words[0];
}

/** Completions by an engine, as many at once as it runs; it has to have the weights that are asked for. */
export function engineCompletions(engine: Engine): CompletionSource {
  return (prompts, { onCompletion, ...options }) =>
    Promise.all(
      prompts.map(async (prompt, place) => {
        const drawn = { ...options, keepStop: true, sample: place };
        const [{ ids, logProbs, reason, error }] = await engine.generate([prompt], drawn);
        if (reason === "error" || reason === "abort") throw error;
        const completion = {
          ids,
          ended: reason === "stop",
          logProbs: options.logProbs ? logProbs : null,
        };
        onCompletion?.(completion, place);
        return completion;
      }),
    );
}
