/**
 * A small model, batches in memory, and a run that keeps what it is told.
 *
 * @module
 */
import { Decoder, type DecoderSpec } from "../../nn/mod.ts";
import { RandomKey } from "../../tensor/mod.ts";
import type { BatchSource, Json, RunSink, Stage, TokenBatch } from "../../train/mod.ts";
import { llama } from "../nn/specs.ts";

/** A Llama of a few thousand parameters. */
export const tiny: DecoderSpec = {
  ...llama,
  vocab: 32,
  dim: 16,
  context: 16,
  blocks: llama.blocks,
};

/** Sequences of random ids; about a quarter of the tokens is not trained. */
export function randomBatch(seed: number, lengths: readonly number[], vocab = 32): TokenBatch {
  const key = new RandomKey(seed), size = lengths.reduce((a, b) => a + b, 0);
  const ids = Int32Array.from({ length: size }, (_, i) => key.bits(i) % vocab);
  const targets = ids.map((id, i) => key.bits(size + i) % 4 === 0 ? -1 : (id + 1) % vocab);
  return { ids, targets, lengths };
}

/** `perStep` micro-batches a step, each its own function of its number, `steps` times. */
export function numberedBatches<B>(
  make: (draw: number) => B,
  perStep = 2,
  steps: number = Infinity,
): BatchSource<B> {
  let draw = 0;
  return {
    next() {
      if (draw >= perStep * steps) return Promise.resolve(null);
      const batches = Array.from({ length: perStep }, () => make(draw++));
      return Promise.resolve(batches);
    },
    state: () => draw,
    restore: (state: Json) => void (draw = state as number),
  };
}

/** Batches of `randomBatch()` whose sizes differ. */
export function randomBatches(perStep = 2, steps: number = Infinity): BatchSource<TokenBatch> {
  return numberedBatches((draw) => randomBatch(draw, [5 + draw % 3, 8]), perStep, steps);
}

/** A run in memory. */
export class MemoryRun implements RunSink {
  /** Figures by step; those of evaluations beside the others. */
  readonly figures: Map<number, Record<string, number>> = new Map();
  /** Warnings. */
  readonly warnings: string[] = [];
  /** Samples by step. */
  readonly samples: Map<number, string> = new Map();
  /** Whether someone asked to stop. */
  interrupted = false;
  /** After which step to ask; never by default. */
  stopAfter: number = Infinity;

  /** A run that keeps checkpoints in `folder`, or none. */
  constructor(readonly folder: string | null = null) {}

  metrics(step: number, values: Readonly<Record<string, number>>): void {
    this.figures.set(step, { ...this.figures.get(step), ...values });
    this.interrupted ||= step >= this.stopAfter;
  }

  sample(step: number, text: string): void {
    this.samples.set(step, text);
  }

  warn(text: string): void {
    this.warnings.push(text);
  }

  resumed(step: number): void {
    for (const later of this.figures.keys()) if (later > step) this.figures.delete(later);
  }

  /** One figure of every step that has it, in order. */
  curve(name: string): number[] {
    return [...this.figures.values()].flatMap((values) => name in values ? [values[name]] : []);
  }
}

/** The bits of all weights of a stage's model. */
export function weightsOf({ model }: Pick<Stage<unknown>, "model">): Map<string, Uint8Array> {
  return new Map(model.state().entries().map(([name, entry]) => [name, entry.read()]));
}

/** A decoder of `tiny`. */
export function tinyDecoder(dtype: "f32" | "bf16" = "f32", seed = 1): Decoder {
  return new Decoder(tiny, { dtype, seed });
}
