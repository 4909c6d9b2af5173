/**
 * What each token counts for in a mean.
 *
 * @module
 */
import { noGrad } from "../autograd.ts";
import type { DType } from "../dtype.ts";
import { ShapeError } from "../errors.ts";
import { formatShape, sameShape, type Shape } from "../layout.ts";
import { scope } from "../scope.ts";
import type { Tensor } from "../tensor.ts";

/** The type that losses of tensors of a type are computed in. */
export function wideType(dtype: DType): DType {
  return dtype === "f64" ? "f64" : "f32";
}

/** How tokens are averaged. */
export interface Weighting {
  /** What each token counts for, f32 [tokens]; 0 masks it. One for each by default. */
  readonly tokenWeights?: Tensor;
  /**
   * What the weighted sum is divided by: with gradient accumulation, the tokens of all micro-batches. By default, the
   * tokens here that count: those with a weight other than 0 and, where there are targets, one that is not ignored.
   */
  readonly normalizer?: number | Tensor;
}

/**
 * Weight over normalizer for each of `tokens`, f32 (f64 where `like` is). `counted` is 0 for tokens that do not count
 * whatever their weight is. Where none counts, all are 0.
 */
export function tokenScales(
  op: string,
  like: Tensor,
  tokens: Shape,
  { tokenWeights, normalizer }: Weighting,
  counted: Tensor | null = null,
): Tensor {
  if (typeof normalizer === "number" && !(normalizer > 0)) {
    throw new RangeError(`${op}: the normalizer must be more than 0 (${normalizer}).`);
  }
  if (tokenWeights && !sameShape(tokenWeights.shape, tokens)) {
    throw new ShapeError(
      `${op}: tokenWeights are one for each token, got ${formatShape(tokenWeights.shape)}. ` +
        `Pass ${formatShape(tokens)}.`,
    );
  }
  return noGrad(() =>
    scope(() => {
      const type = wideType(like.dtype);
      const given = counted?.to(type) ?? like.newEmpty(tokens, type).fill(1);
      const weights = tokenWeights ? given.mul(tokenWeights.to(type)) : given;
      return weights.div(normalizer ?? weights.notEqual(0).to(type).sum().maximum(1));
    })
  );
}
