/**
 * How far a child is from its parent, on text.
 *
 * @module
 */
import type { Decoder } from "../nn/mod.ts";
import { cosineLoss, linearCrossEntropy, linearKl, noGrad, scope, Tensor } from "../tensor/mod.ts";
import type { TokenBatch } from "./stage.ts";
import { trainedTokens } from "./token_loss.ts";

/** How far predictions are from the parent's; 0 for the parent itself, but for `loss`. */
export interface Distance {
  /** KL(parent‖child), the mean over all tokens, in nats. */
  readonly kl: number;
  /** The child's cross-entropy, the mean over trained tokens, in nats. */
  readonly loss: number;
  /** 1 − cos of what the heads read, the mean over all tokens. */
  readonly cosine: number;
}

/** Sums distances over batches. */
export class DistanceMean {
  #sums = { kl: 0, loss: 0, cosine: 0 };
  #tokens = 0;
  #trained = 0;

  /** Adds a batch: what each model's head reads, [tokens, dim], and the heads. */
  add(parent: HeadInput, child: HeadInput, batch: TokenBatch): void {
    const tokens = batch.ids.length, trained = trainedTokens(batch);
    scope(() => {
      const targets = Tensor.from(batch.targets, [tokens], { dtype: "i32" });
      const kl = linearKl(child.hidden, child.weight, parent.hidden, parent.weight);
      const { loss } = linearCrossEntropy(child.hidden, child.weight, targets);
      this.#sums.kl += kl.loss.item() * tokens;
      this.#sums.loss += loss.item() * trained;
      this.#sums.cosine += cosineLoss(child.hidden, parent.hidden).item() * tokens;
    });
    this.#tokens += tokens;
    this.#trained += trained;
  }

  /** The means so far. */
  get value(): Distance {
    const { kl, loss, cosine } = this.#sums;
    return {
      kl: kl / this.#tokens,
      loss: loss / Math.max(1, this.#trained),
      cosine: cosine / this.#tokens,
    };
  }
}

/** What a head reads, and the head. */
export interface HeadInput {
  /** [tokens, dim]. */
  readonly hidden: Tensor;
  /** [vocab, dim]. */
  readonly weight: Tensor;
}

/** How far a child's predictions are from its parent's, on text that neither learns from. */
export function compareDecoders(
  parent: Decoder,
  child: Decoder,
  batches: readonly TokenBatch[],
): Distance {
  const mean = new DistanceMean();
  for (const batch of batches) {
    noGrad(() => scope(() => mean.add(headInput(parent, batch), headInput(child, batch), batch)));
  }
  return mean.value;
}

/** Measures several children of one parent on the same text: what the parent's head reads is computed once. */
export class Comparison implements Disposable {
  readonly #parents: readonly HeadInput[];

  /** Computes what the parent's head reads of all batches. */
  constructor(parent: Decoder, readonly batches: readonly TokenBatch[]) {
    this.#parents = batches.map((batch) =>
      noGrad(() =>
        scope(() => {
          const { hidden, weight } = headInput(parent, batch);
          return { hidden: hidden.keep(), weight };
        })
      )
    );
  }

  /** How far a child is from the parent. */
  to(child: Decoder): Distance {
    const mean = new DistanceMean();
    this.batches.forEach((batch, i) =>
      noGrad(() => scope(() => mean.add(this.#parents[i], headInput(child, batch), batch)))
    );
    return mean.value;
  }

  /** Gives the memory back. */
  [Symbol.dispose](): void {
    for (const { hidden } of this.#parents) hidden[Symbol.dispose]();
  }
}

function headInput(decoder: Decoder, { ids, lengths }: TokenBatch): HeadInput {
  const tensor = Tensor.from(ids, [ids.length], { dtype: "i32" });
  return { hidden: decoder.hidden(tensor, { lengths }), weight: decoder.headWeight };
}
