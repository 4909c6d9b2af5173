/**
 * On-policy distillation: the student writes the text that its teacher comments on.
 *
 * @module
 */
import { type Decoder, generate } from "../nn/mod.ts";
import { RandomKey } from "../tensor/mod.ts";
import type { BatchSource, TokenBatch } from "./stage.ts";

/** Continues prompts, all at once; called before each step, with its number. */
export type Continue = (
  prompts: readonly (readonly number[])[],
  step: number,
) => Promise<readonly (readonly number[])[]>;

/** How a student's text is made. */
export interface StudentSampleOptions {
  /** Text whose sequences begin as the prompts do. */
  readonly batches: BatchSource<TokenBatch>;
  /** Tokens of each prompt. */
  readonly promptTokens: number;
  /** Writes what follows, such as `continueBy()` or an engine does. */
  readonly complete: Continue;
  /** Which share of micro-batches the student writes; 1 by default. The others stay as they are. */
  readonly share?: number;
  /** Decides which; 0 by default. */
  readonly seed?: number;
}

/**
 * Batches in which the student has continued the first tokens of each sequence, and only what it wrote is trained
 * (Agarwal et al., "On-policy distillation", 2024). Sequences that are no longer than a prompt stay away.
 */
export function studentSamples(
  { batches, promptTokens, complete, share = 1, seed = 0 }: StudentSampleOptions,
): BatchSource<TokenBatch> {
  const key = new RandomKey(seed).derive("student samples");
  return {
    async next(step) {
      const texts = await batches.next(step);
      if (texts === null) return null;
      const own = key.derive(step), made: TokenBatch[] = [];
      for (const [i, text] of texts.entries()) {
        if (own.uniform(i) >= share) made.push(text);
        else {
          const prompts = promptsOf(text, promptTokens);
          made.push(packed(prompts, await complete(prompts, step)));
        }
      }
      return made;
    },
    state: () => batches.state(),
    restore: (state) => batches.restore(state),
  };
}

/** Continues prompts with a decoder as it is by then, drawing from its distribution. */
export function continueBy(
  decoder: Decoder,
  { maxTokens, temperature = 1, stop = [], seed = 0 }: {
    readonly maxTokens: number;
    readonly temperature?: number;
    readonly stop?: readonly number[];
    readonly seed?: number;
  },
): Continue {
  return (prompts, step) => {
    const made: number[][] = prompts.map(() => []);
    const stepSeed = new RandomKey(seed).derive("continue").derive(step).bits(0);
    const options = { maxTokens, temperature, stop, seed: stepSeed };
    for (const { sequence, id } of generate(decoder, prompts, options)) made[sequence].push(id);
    return Promise.resolve(made);
  };
}

function promptsOf({ ids, lengths }: TokenBatch, tokens: number): number[][] {
  let start = 0;
  return lengths.flatMap((length) => {
    const from = start;
    start += length;
    return length > tokens ? [[...ids.subarray(from, from + tokens)]] : [];
  });
}

/** Prompts and what follows them, one sequence after the other; what follows is trained. */
function packed(
  prompts: readonly (readonly number[])[],
  completions: readonly (readonly number[])[],
): TokenBatch {
  const sequences = prompts.map((prompt, s) => [...prompt, ...completions[s]]);
  const ids = Int32Array.from(sequences.flat()), targets = new Int32Array(ids.length).fill(-1);
  let start = 0;
  sequences.forEach((sequence, s) => {
    for (let i = prompts[s].length; i < sequence.length; i++) targets[start + i - 1] = sequence[i];
    start += sequence.length;
  });
  return { ids, targets, lengths: sequences.map(({ length }) => length) };
}
