/**
 * The loss of policy optimisation, token by token.
 *
 * @module
 */
import { noGrad, scope, Tensor } from "../../tensor/mod.ts";
import type { PolicyBatch } from "./batch.ts";
import type { KlEstimate, PolicyLoss } from "./options.ts";

/**
 * For log-probabilities of a batch's targets as they are now, f32 [tokens]:
 *
 *     ρ = exp(log π − log π_old)
 *     L = Σ_t c_t · w_t · ( max(−A ρ, −A clip(ρ, 1 − ε_low, 1 + ε_high)) + β · KL_t )
 *
 * where c_t are the shares of the normalizer in `total`, the step's sum of `policyWeight`, and w_t the importance weights
 * (GRPO, Shao et al. 2024; DAPO, Yu et al. 2025; with one ratio per sequence GSPO, Zheng et al. 2025). Without a ratio
 * L_t is −A · log π.
 */
export function policyLoss(
  logProbs: Tensor,
  batch: PolicyBatch,
  total: number,
  options: PolicyLoss,
): Tensor {
  return scope(() => {
    const constant = (values: Float32Array | Float64Array): Tensor =>
      Tensor.from(values, [values.length], { dtype: logProbs.dtype });
    const advantages = constant(batch.advantages);
    let losses = policyTerm(logProbs, constant(batch.old), advantages, batch, options);
    if (options.klCost !== 0 && batch.reference) {
      const change = constant(batch.reference).sub(logProbs);
      losses = losses.add(klTerm(change, options.kl).mul(options.klCost));
    }
    return losses.mul(constant(tokenShares(batch, total, options))).sum();
  });
}

/** max(−A ρ, −A clip(ρ)), or −A log π; [tokens]. */
function policyTerm(
  logProbs: Tensor,
  old: Tensor,
  advantages: Tensor,
  batch: PolicyBatch,
  { ratio: kind, clipLow, clipHigh }: PolicyLoss,
): Tensor {
  if (kind === "none") return advantages.mul(logProbs).neg();
  const change = logProbs.sub(old);
  const ratio = (kind === "token" ? change : meanOfSequence(change, batch)).exp();
  const clipped = ratio.maximum(1 - clipLow).minimum(1 + clipHigh);
  return advantages.mul(ratio).minimum(advantages.mul(clipped)).neg();
}

/** δ = log π_ref − log π; k1 = −δ, k2 = δ²/2, k3 = exp(δ) − δ − 1. */
function klTerm(change: Tensor, kind: KlEstimate): Tensor {
  if (kind === "k1") return change.neg();
  if (kind === "k2") return change.mul(change).mul(0.5);
  return change.exp().sub(change).sub(1);
}

/** x: [tokens] → at each token the mean over the trained tokens of its sequence, [tokens]. */
function meanOfSequence(x: Tensor, { lengths, trained, targets }: PolicyBatch): Tensor {
  let start = 0;
  const means = lengths.map((length, s) => {
    const isTrained = Array.from(targets.subarray(start, start + length), (id) => Number(id >= 0));
    const part = x.slice(0, start, start += length);
    const weights = Tensor.from(isTrained, [length], { dtype: x.dtype });
    return part.mul(weights).sum().div(Math.max(1, trained[s])).expand([length]);
  });
  return Tensor.concat(means, 0);
}

/** c_t · w_t: [tokens], 0 where nothing is trained. */
function tokenShares(
  { lengths, trained, targets, importance }: PolicyBatch,
  total: number,
  { normalizer }: PolicyLoss,
): Float64Array {
  const shares = new Float64Array(targets.length);
  let start = 0;
  lengths.forEach((length, s) => {
    const share = normalizer === "sequence" ? 1 / (trained[s] * total) : 1 / total;
    for (let t = start; t < start + length; t++) {
      if (targets[t] >= 0) shares[t] = share * importance[t];
    }
    start += length;
  });
  return shares;
}

/**
 * What happened to a micro-batch's tokens, as means over those trained: `kl` from the reference, `clip_ratio/low_mean`
 * (ratios that fell below the lower bound of wrong tokens), `clip_ratio/high_mean`, `clip_ratio/region_mean` (either),
 * `entropy`. Named as in TRL.
 */
export function policyMetrics(
  logProbs: Tensor,
  entropy: Tensor,
  batch: PolicyBatch,
  options: PolicyLoss,
): Record<string, number> {
  const { now, entropies, changes } = noGrad(() =>
    scope(() => {
      const old = Tensor.from(batch.old, [batch.old.length], { dtype: logProbs.dtype });
      const change = logProbs.sub(old);
      const compared = options.ratio === "sequence" ? meanOfSequence(change, batch) : change;
      return { now: logProbs.data(), entropies: entropy.data(), changes: compared.data() };
    })
  );
  const sums = { kl: 0, entropy: 0, "clip_ratio/low_mean": 0, "clip_ratio/high_mean": 0 };
  let count = 0;
  batch.targets.forEach((target, t) => {
    if (target < 0) return;
    count++;
    const ratio = Math.exp(changes[t]), advantage = batch.advantages[t];
    const toReference = batch.reference ? batch.reference[t] - now[t] : 0;
    sums.kl += Math.exp(toReference) - toReference - 1;
    sums.entropy += entropies[t];
    if (options.ratio === "none") return;
    if (ratio < 1 - options.clipLow && advantage < 0) sums["clip_ratio/low_mean"]++;
    if (ratio > 1 + options.clipHigh && advantage > 0) sums["clip_ratio/high_mean"]++;
  });
  const means = Object.entries(sums).map(([name, sum]) =>
    [name, sum / Math.max(1, count)] as const
  );
  const figures = Object.fromEntries(means) as typeof sums;
  const region = figures["clip_ratio/low_mean"] + figures["clip_ratio/high_mean"];
  return { ...figures, "clip_ratio/region_mean": region };
}
