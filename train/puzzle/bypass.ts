/**
 * Blockwise local distillation: every variant learns, on its own, to give what the parent's block gives.
 *
 * @module
 */
import type { Decoder } from "../../nn/mod.ts";
import {
  attach,
  clipByGlobalNorm,
  noGrad,
  normalizedMse,
  scope,
  Tensor,
} from "../../tensor/mod.ts";
import type { BatchSource, Stage, TokenBatch } from "../stage.ts";
import { type Activations, parentActivations } from "./activations.ts";
import type { VariantModules } from "./variant_modules.ts";

/** What blockwise distillation needs. */
export interface BypassOptions {
  /** Its activations are what variants learn from; loaded without `train`, so that it stays as it is. */
  readonly parent: Decoder;
  /** What learns. */
  readonly variants: VariantModules;
  /** Text. */
  readonly batches: BatchSource<TokenBatch>;
  /** Other text, to evaluate with. */
  readonly heldOut?: readonly TokenBatch[];
}

/**
 * A stage whose loss is the sum of the variants' losses, MSE(o, o_parent) / MSE(o_parent, 0), where o is the output of the
 * block with the variant in it and everything else of the block the parent's. The parent's activations are computed once
 * for all. Variants share nothing and are clipped one by one: each learns the same bits alone and among others.
 *
 * Source: Bercovich et al., "Puzzle", 2024, section 3 and appendix A.
 */
export function bypassStage(
  { parent, variants, batches, heldOut }: BypassOptions,
): Stage<TokenBatch> {
  return {
    name: "bypass",
    model: variants,
    batches,
    weight: ({ ids }) => ids.length,
    loss(batch, total) {
      const share = batch.ids.length / total;
      const activations = noGrad(() => parentActivations(parent, batch));
      // Each variant's gradients are computed at once: together, what they need would fill the memory.
      const errors = variants.entries.map((_, i) =>
        scope(() => {
          const error = variantError(parent, variants, i, activations).mul(share);
          const value = error.item();
          // One that has diverged must not take the others along.
          if (Number.isFinite(value)) error.backward();
          return value;
        })
      );
      const finite = errors.filter(Number.isFinite);
      const diverged = errors.length - finite.length;
      const loss = Tensor.full([], finite.reduce((sum, error) => sum + error, 0));
      attach("bypass", [], [loss], [], () => []);
      return { loss, metrics: { diverged } };
    },
    clip: (maxNorm) => clipEach(variants, maxNorm),
    ...(heldOut && {
      evaluate: () => {
        const errors = variantErrors(parent, variants, heldOut);
        return Promise.resolve({ loss: errors.reduce((sum, error) => sum + error, 0) });
      },
    }),
  };
}

/** The mean held-out error of every entry. */
export function variantErrors(
  parent: Decoder,
  variants: VariantModules,
  batches: readonly TokenBatch[],
): number[] {
  const sums = variants.entries.map(() => 0);
  for (const batch of batches) {
    noGrad(() =>
      scope(() => {
        const activations = parentActivations(parent, batch);
        variants.entries.forEach((_, i) => {
          sums[i] += scope(() => variantError(parent, variants, i, activations).item());
        });
      })
    );
  }
  return sums.map((sum) => sum / batches.length);
}

/** How far the block's output is from the parent's with one variant in it, relative to its size. */
function variantError(
  parent: Decoder,
  variants: VariantModules,
  index: number,
  { place, inputs, middles }: Activations,
): Tensor {
  const { layer, kind } = variants.entries[index], block = variants.blocks[index];
  const given = block.forward(kind === "ffn" ? middles[layer] : inputs[layer], place);
  const ffn = kind === "attention" ? parent.blocks[layer].ffn : null;
  const output = ffn ? given.add(ffn.forward(given)) : given;
  return normalizedMse(output, inputs[layer + 1]);
}

/** Clips the gradient of each variant by its own norm, and forgets what is not finite. Returns the norm of all. */
function clipEach({ entryArenas }: VariantModules, maxNorm: number): number {
  const norms = entryArenas.values().map(({ gradient }) => {
    const norm = clipByGlobalNorm(gradient, maxNorm);
    if (Number.isFinite(norm)) return norm;
    gradient.fill(0);
    return 0;
  });
  return Math.hypot(...norms);
}
