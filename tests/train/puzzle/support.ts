/**
 * What tests of the search share.
 *
 * @module
 */
import { Decoder, type DecoderSpec } from "../../../nn/mod.ts";
import { RandomKey } from "../../../tensor/mod.ts";
import type { BatchSource, Json, RunSink, TokenBatch } from "../../../train/stage.ts";

/** Three blocks, small enough to train in a test. */
export const parentSpec: DecoderSpec = {
  vocab: 40,
  dim: 32,
  context: 32,
  headDim: 8,
  norm: { kind: "rms_norm", eps: 1e-5 },
  rope: { theta: 10_000, fraction: 1, scaling: null },
  tied: true,
  blocks: [0, 1, 2].map(() => ({
    attention: { kind: "gqa", heads: 4, kvHeads: 2 },
    ffn: { kind: "gated", hidden: 48, activation: "silu" },
  })),
};

/** A decoder whose blocks do something: weights are larger than those that training starts from. */
export function strongDecoder(spec: DecoderSpec, seed = 0): Decoder {
  const decoder = new Decoder(spec, { train: false, seed });
  for (const [name, weight] of decoder.namedParameters()) {
    if (weight.rank === 2 && name.startsWith("blocks")) weight.assign(weight.mul(12));
  }
  return decoder;
}

/** Packed sequences of a language with some order: each token follows from the one before, mostly. */
export function textBatch(seed: number, lengths: readonly number[] = [32, 9, 23]): TokenBatch {
  const key = new RandomKey(seed).derive("text");
  const tokens = lengths.reduce((a, b) => a + b, 0);
  const ids = new Int32Array(tokens), targets = new Int32Array(tokens).fill(-1);
  let at = 0;
  for (const length of lengths) {
    for (let i = 0; i < length; i++, at++) {
      const random = Math.floor(key.uniform(2 * at) * 40);
      ids[at] = i === 0 || key.uniform(2 * at + 1) < 0.3 ? random : (ids[at - 1] * 7 + 3) % 40;
      if (i > 0) targets[at - 1] = ids[at];
    }
  }
  return { ids, targets, lengths };
}

/** Endless batches, one for each step. */
export function textBatches(seed = 1, lengths?: readonly number[]): BatchSource<TokenBatch> {
  return {
    next: (step) => Promise.resolve([textBatch(1000 * seed + step, lengths)]),
    state: (): Json => null,
    restore: () => {},
  };
}

/** A run that keeps nothing, but for checkpoints in `folder`. */
export function quietRun(
  folder: string | null = null,
): RunSink & { interrupted: boolean; steps: number } {
  return {
    folder,
    interrupted: false,
    steps: 0,
    metrics() {
      this.steps++;
    },
    sample: () => {},
    warn: () => {},
  };
}
