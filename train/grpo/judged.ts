/**
 * Scored completions, with all that the loss asks about them.
 *
 * @module
 */
import type { Decoder } from "../../nn/mod.ts";
import type { TrainedCompletion } from "./batch.ts";
import { mismatchFigures } from "./figures.ts";
import { type CompletionLogProbOptions, completionLogProbs } from "./log_probs.ts";
import { type ImportanceCorrection, importanceWeight } from "./options.ts";
import type { Reference } from "./reference.ts";
import type { SampledGroup } from "./rollout.ts";

/** A prompt's completions with their advantages. */
export interface JudgedGroup extends SampledGroup {
  /** [completions] */
  readonly advantages: readonly number[];
}

/** What else completions are looked at with. */
export interface JudgedOptions extends CompletionLogProbOptions {
  /** What trains, with the weights that wrote the completions. */
  readonly policy: Decoder;
  /** What it may not move far from. */
  readonly reference?: Reference;
  /** Against the mismatch of generation and training. */
  readonly correction?: ImportanceCorrection;
  /** Whether nothing is learned from completions that did not end. */
  readonly maskOverlong?: boolean;
  /** Whether the generator's log-probabilities are taken for the policy's. */
  readonly reuseLogProbs?: boolean;
}

/** What is learned from, and how differently generation and training see it. */
export interface TrainedGroups {
  /** The completions of each prompt. */
  readonly groups: readonly (readonly TrainedCompletion[])[];
  /** See `mismatchFigures`. */
  readonly mismatch: Readonly<Record<string, number>>;
}

/**
 * Adds the log-probabilities of the policy and the reference, and importance weights. Throws TypeError where those of the
 * generator are needed and it does not tell them, or tells them of another temperature.
 */
export function trainedCompletions(
  judged: readonly JudgedGroup[],
  options: JudgedOptions,
): TrainedGroups {
  const { policy, reference, correction = { kind: "none" }, maskOverlong = false } = options;
  const { reuseLogProbs = false, temperature, tokensPerBatch } = options;
  const written = judged.map(({ completions, prompt, advantages }) =>
    completions.map((completion, i) => ({
      ids: Int32Array.from([...prompt.ids, ...completion.ids]),
      prompt: prompt.ids.length,
      advantage: advantages[i],
      generated: completion.logProbs,
      trained: completion.ids.length > 0 && (completion.ended || !maskOverlong),
    }))
  );
  const all = written.flat(), how = { temperature, tokensPerBatch };
  if (correction.kind !== "none" || reuseLogProbs) checkGenerator(all, temperature);
  const old = reuseLogProbs
    ? all.map(({ generated }) => Float32Array.from(generated!))
    : completionLogProbs(policy, all, how);
  const references = reference?.(all, how);
  let next = 0;
  const groups = written.map((group) =>
    group.map(({ generated, ...completion }) => {
      const place = next++;
      const importance = old[place].map((logProb, t) =>
        generated ? importanceWeight(logProb, generated[t], correction) : 1
      );
      return { ...completion, old: old[place], reference: references?.[place] ?? null, importance };
    })
  );
  // Generators tell log-probabilities at temperature 1.
  const generated = all.map(({ generated }) => temperature === 1 ? generated : null);
  return { groups, mismatch: mismatchFigures(old, generated) };
}

function checkGenerator(
  completions: readonly { readonly generated: readonly number[] | null }[],
  temperature: number,
): void {
  const silent = completions.some(({ generated }) => generated === null);
  if (!silent && temperature === 1) return;
  throw new TypeError(
    "grpo: the generator's log-probabilities are needed, " +
      (silent ? "it does not tell them (none). Use an engine." : (
        `it tells them at temperature 1 (${temperature}). Draw at temperature 1.`
      )),
  );
}
