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
}

/** What is learned from, and how differently generation and training see it. */
export interface TrainedGroups {
  /** The completions of each prompt. */
  readonly groups: readonly (readonly TrainedCompletion[])[];
  /** See `mismatchFigures`. */
  readonly mismatch: Readonly<Record<string, number>>;
}

/**
 * Adds the log-probabilities of the policy and the reference, and importance weights. Throws TypeError for a correction
 * without log-probabilities from the generator.
 */
export function trainedCompletions(
  judged: readonly JudgedGroup[],
  { policy, reference, correction = { kind: "none" }, maskOverlong = false, ...how }: JudgedOptions,
): TrainedGroups {
  const written = judged.map(({ completions, prompt, advantages }) =>
    completions.map((completion, i) => ({
      ids: Int32Array.from([...prompt.ids, ...completion.ids]),
      prompt: prompt.ids.length,
      advantage: advantages[i],
      generated: completion.logProbs,
      trained: completion.ids.length > 0 && (completion.ended || !maskOverlong),
    }))
  );
  const all = written.flat();
  if (correction.kind !== "none" && all.some(({ generated }) => generated === null)) {
    throw new TypeError(
      `grpo: a correction (${correction.kind}) needs log-probabilities, which this generator does not tell. ` +
        `Use an engine, or leave the correction out.`,
    );
  }
  const old = completionLogProbs(policy, all, how), references = reference?.(all, how);
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
  const generated = all.map(({ generated }) => how.temperature === 1 ? generated : null);
  return { groups, mismatch: mismatchFigures(old, generated) };
}
