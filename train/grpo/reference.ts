/**
 * What a policy may not move far from.
 *
 * @module
 */
import { type Decoder, withoutLora } from "../../nn/mod.ts";
import {
  type CompletionLogProbOptions,
  completionLogProbs,
  type PromptedIds,
} from "./log_probs.ts";

/** Log-probabilities of completions by the model that the policy may not move far from. */
export type Reference = (
  completions: readonly PromptedIds[],
  options: CompletionLogProbOptions,
) => Float32Array[];

/** Another decoder with fixed weights, such as a copy of the policy made before training. */
export function frozenReference(decoder: Decoder): Reference {
  return (completions, options) => completionLogProbs(decoder, completions, options);
}

/** The policy without its low-rank adapters: the weights below them do not train. */
export function adapterReference(policy: Decoder): Reference {
  return (completions, options) =>
    withoutLora(policy, () => completionLogProbs(policy, completions, options));
}
