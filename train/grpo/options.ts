/**
 * What is minimised, and its variants.
 *
 * @module
 */

/** Estimates of the divergence from the reference (Schulman, "Approximating KL divergence", 2020). */
export type KlEstimate = "k1" | "k2" | "k3";

/**
 * What the losses of tokens are divided by, over the whole step:
 *
 * - `token`: the trained tokens (DAPO)
 * - `sequence`: the tokens of their sequence, and the sequences (GRPO as first published)
 * - `constant`: the sequences times the most tokens of a completion (Dr. GRPO)
 */
export type LossNormalizer = "token" | "sequence" | "constant";

/** What the probabilities of old and new weights are compared for: each token, each sequence (GSPO), or not at all. */
export type RatioKind = "token" | "sequence" | "none";

/** How the loss is made up. */
export interface PolicyLossOptions {
  /** How far the ratio may fall before it is clipped; 0.2 by default. */
  readonly clipLow?: number;
  /** How far the ratio may rise before it is clipped; `clipLow` by default, 0.28 in DAPO. */
  readonly clipHigh?: number;
  /** By default `token`; `none` is REINFORCE, −A·log π. */
  readonly ratio?: RatioKind;
  /** By default `token`. */
  readonly normalizer?: LossNormalizer;
  /** What the divergence from the reference costs, β; 0.01 by default. 0 needs no reference. */
  readonly klCost?: number;
  /** By default `k3`. */
  readonly kl?: KlEstimate;
  /** What the logits are divided by, as they were when completions were drawn; 1 by default. */
  readonly temperature?: number;
}

/** All of them. */
export type PolicyLoss = Required<PolicyLossOptions>;

/** Options with their defaults. */
export function policyLossDefaults(
  { clipLow = 0.2, clipHigh = clipLow, ...options }: PolicyLossOptions,
): PolicyLoss {
  const { ratio = "token", normalizer = "token", klCost = 0.01, kl = "k3" } = options;
  return {
    clipLow,
    clipHigh,
    ratio,
    normalizer,
    klCost,
    kl,
    temperature: options.temperature ?? 1,
  };
}

/**
 * What becomes of tokens that generation and training see differently, w = exp(old − generated): nothing, w limited to at
 * most `most` (truncated importance sampling), or w where it lies between the limits and 0 elsewhere (IcePop).
 */
export type ImportanceCorrection =
  | { readonly kind: "none" }
  | { readonly kind: "tis"; readonly least?: number; readonly most?: number }
  | { readonly kind: "icepop"; readonly least?: number; readonly most?: number };

/** The weight of a token whose log-probability was `generated`, and is `old` in training with the same weights. */
export function importanceWeight(
  old: number,
  generated: number,
  correction: ImportanceCorrection,
): number {
  const weight = Math.exp(old - generated);
  switch (correction.kind) {
    case "none":
      return 1;
    case "tis": {
      const { least = 0, most = 2 } = correction;
      return Math.min(most, Math.max(least, weight));
    }
    case "icepop": {
      const { least = 0.5, most = 5 } = correction;
      return weight >= least && weight <= most ? weight : 0;
    }
  }
}
