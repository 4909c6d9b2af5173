/**
 * What weights that generate do to the gradient of those that learn, computed exactly rather than from samples.
 *
 * @module
 */
import { KvBlocks } from "../engine/kv_blocks.ts";
import { GenerationModel } from "../engine/model.ts";
import { activationType, type Decoder, type WeightFormat } from "../nn/mod.ts";
import { noGrad, scope, Tensor } from "../tensor/mod.ts";
import { type ImportanceCorrection, importanceWeight } from "../train/grpo/mod.ts";

/** Tokens of texts, all equally many: [windows][length + 1]. */
export type Windows = readonly (readonly number[])[];

/** How tokens are corrected for having been drawn with other weights. */
export type CorrectionKind = ImportanceCorrection["kind"];

const blockTokens = 16;

/** What the copy of a decoder's weights that generates says of texts. */
export class CopiedLogProbs implements Disposable {
  readonly #model: GenerationModel;
  readonly #memory: KvBlocks;

  /** A copy in some format. */
  constructor(decoder: Decoder, format: WeightFormat) {
    this.#model = new GenerationModel(decoder, format);
    const blocks = Math.ceil(decoder.context / blockTokens), dtype = activationType(format);
    this.#memory = new KvBlocks(decoder.spec, { blocks, blockTokens, dtype });
  }

  /** The log-probability of every token after each of `ids`: [ids, vocab]. */
  after(ids: readonly number[]): Float32Array {
    const integers = (values: readonly number[]): Tensor =>
      Tensor.from(values, [values.length], { dtype: "i32" });
    return noGrad(() =>
      scope(() => {
        const all = integers(ids.map((_, position) => position));
        const blocks = Array.from({ length: Math.ceil(ids.length / blockTokens) }, (_, i) => i);
        const sequences = {
          queryOffsets: integers([0, ids.length]),
          keyLengths: integers([ids.length]),
          keyStarts: integers(blocks).reshape([1, blocks.length]),
          blockTokens,
        };
        const tokens = { ids: integers(ids), positions: all, places: all, wanted: all, sequences };
        const [logits] = this.#model.logits(tokens, this.#memory);
        return logits.logSoftmax(1).data() as Float32Array;
      })
    );
  }

  /** e to the mean surprise at the texts' tokens. */
  perplexity(windows: Windows): number {
    let sum = 0, count = 0;
    for (const window of windows) {
      const logProbs = this.after(window.slice(0, -1)),
        vocab = logProbs.length / (window.length - 1);
      window.slice(1).forEach((id, t) => sum -= logProbs[t * vocab + id]);
      count += window.length - 1;
    }
    return Math.exp(sum / count);
  }

  /** Gives the memory back. */
  [Symbol.dispose](): void {
    this.#model[Symbol.dispose]();
    this.#memory[Symbol.dispose]();
  }
}

/**
 * The policy gradient of guessing the next token of texts, where tokens are drawn by a copy of the weights, or by the
 * decoder itself if that is null:
 *
 *     g = Σ_t Σ_a π_copy(a) · w(a) · (r(a) − b) · ∇ log π(a),   r(a) = 1 if a comes next, b = Σ_a π_copy(a) · r(a)
 *
 * with importance weights w: what a step of GRPO follows with infinitely many completions of one token.
 */
export function policyGradient(
  decoder: Decoder,
  copy: CopiedLogProbs | null,
  windows: Windows,
  kind: CorrectionKind,
): Float32Array {
  decoder.arena!.zeroGrad();
  for (const window of windows) {
    const drawn = copy?.after(window.slice(0, -1)) ?? null;
    scope(() => {
      const ids = Tensor.from(window.slice(0, -1), [1, window.length - 1], { dtype: "i32" });
      const logProbs = decoder.logits(ids).logSoftmax(2);
      const own = logProbs.data();
      const pulls = Float32Array.from(own, (logProb, i) => {
        const by = drawn?.[i] ?? logProb;
        return Math.exp(by) * importanceWeight(logProb, by, { kind });
      });
      const vocab = logProbs.shape[2];
      window.slice(1).forEach((id, t) => {
        const baseline = Math.exp((drawn ?? own)[t * vocab + id]);
        for (let a = 0; a < vocab; a++) pulls[t * vocab + a] *= Number(a === id) - baseline;
      });
      logProbs.mul(Tensor.from(pulls, logProbs.shape)).sum().backward();
    });
  }
  return decoder.arena!.gradient.data() as Float32Array;
}

/** ‖g − right‖ / ‖right‖. */
export function relativeError(g: Float32Array, right: Float32Array): number {
  let difference = 0, norm = 0;
  right.forEach((value, i) => {
    difference += (g[i] - value) ** 2;
    norm += value ** 2;
  });
  return Math.sqrt(difference / norm);
}
