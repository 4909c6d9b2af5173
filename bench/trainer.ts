/**
 * A decoder and its optimizer, for benches.
 *
 * @module
 */
import { Decoder, decoderCrossEntropy, type DecoderSpec } from "../nn/mod.ts";
import { adamw, scope, StepControl, Tensor } from "../tensor/mod.ts";

/** Sizes of a Llama-shaped decoder whose head is its embedding. */
export interface LlamaShape {
  readonly vocab: number;
  readonly dim: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly hidden: number;
}

/** Shapes that benches run, by their number of parameters. */
export const llamaShapes: Readonly<Record<string, LlamaShape>> = {
  "15M": { vocab: 32000, dim: 288, layers: 6, heads: 6, kvHeads: 6, hidden: 768 },
  "1.3M": { vocab: 1024, dim: 128, layers: 6, heads: 4, kvHeads: 2, hidden: 384 },
  "260K": { vocab: 512, dim: 64, layers: 5, heads: 8, kvHeads: 4, hidden: 172 },
};

/** The spec of a shape, for sequences of up to `context` tokens. */
export function llamaSpec(
  { vocab, dim, layers, heads, kvHeads, hidden }: LlamaShape,
  context: number,
): DecoderSpec {
  const attention = { kind: "gqa", heads, kvHeads } as const;
  const ffn = { kind: "gated", hidden, activation: "silu" } as const;
  return {
    vocab,
    dim,
    context,
    headDim: dim / heads,
    tied: true,
    norm: { kind: "rms_norm", eps: 1e-5 },
    rope: { theta: 10_000, fraction: 1, scaling: null },
    blocks: Array.from({ length: layers }, () => ({ attention, ffn })),
  };
}

/** Operations of a training step for a token: multiply-adds count twice; backward is twice forward; causal attention is half of the square. */
export function flopsPerToken(
  { vocab, dim, layers, heads, kvHeads, hidden }: LlamaShape,
  time: number,
): number {
  const headDim = dim / heads;
  const weights = layers * (dim * headDim * (2 * heads + 2 * kvHeads) + 3 * dim * hidden) +
    vocab * dim;
  return 3 * (2 * weights + layers * 2 * time * dim);
}

/** Reproducible token ids and their successors, i32 [batch, time]; the caller's to dispose of. */
export function lesson(
  vocab: number,
  [batch, time]: readonly [batch: number, time: number],
): [ids: Tensor, targets: Tensor] {
  const text = Int32Array.from({ length: batch * time + 1 }, (_, i) => (i * 7919 + 13) % vocab);
  const part = (start: number): Tensor =>
    Tensor.from(text.subarray(start, start + batch * time), [batch, time], { dtype: "i32" }).keep();
  return [part(0), part(1)];
}

const betas = { beta1: 0.9, beta2: 0.95 } as const;

/** A decoder that learns: forward, backward, clip, AdamW. */
export class Trainer implements Disposable {
  readonly #decoder: Decoder;
  readonly #m: Tensor;
  readonly #v: Tensor;
  readonly #control = new StepControl();

  /** A decoder with random weights. */
  constructor(spec: DecoderSpec, dtype: "f32" | "bf16") {
    this.#decoder = new Decoder(spec, { dtype });
    const { master } = this.#decoder.arena!;
    this.#m = Tensor.zeros(master.shape).keep();
    this.#v = Tensor.zeros(master.shape).keep();
  }

  /** Number of parameters. */
  get parameters(): number {
    return this.#decoder.namedParameters().values().reduce((sum, weight) => sum + weight.size, 0);
  }

  /** Bytes of weights, gradients and the optimizer. */
  get bytes(): number {
    const { master, gradient, compute } = this.#decoder.arena!;
    const flats = new Set([master, gradient, compute, this.#m, this.#v]);
    return flats.values().reduce((sum, flat) => sum + flat.storage.bytes, 0);
  }

  /** One step on ids and targets, i32 [batch, time]; returns the loss. */
  step(ids: Tensor, targets: Tensor): number {
    const { master, gradient, compute, decayCount } = this.#decoder.arena!;
    const copy = compute === master ? {} : { copy: compute };
    this.#control.set({
      ...betas,
      lr: 1e-3,
      weightDecay: 0.1,
      largestNorm: 1,
      largestLoss: Infinity,
    });
    scope(() => {
      gradient.fill(0);
      const { loss } = decoderCrossEntropy(this.#decoder, ids, targets);
      loss.backward();
      this.#control.decide(loss.reshape([1]), [gradient]); // on the device: nobody waits within the step
      const { factors } = this.#control;
      adamw({ master, gradient, m: this.#m, v: this.#v, ...copy }, {
        ...betas,
        factors,
        decayCount,
      });
    });
    return this.#control.outcome().loss;
  }

  /** Give the memory back. */
  [Symbol.dispose](): void {
    for (const owned of [this.#decoder, this.#m, this.#v, this.#control]) owned[Symbol.dispose]();
  }
}
