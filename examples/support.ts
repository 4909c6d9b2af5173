/**
 * What several examples share: a line of figures now and then, and a small model that knows a sentence.
 *
 * @module
 */
import { Decoder, type DecoderSpec, type Tokenizer, trainBpe } from "@denotron/denotron";
import {
  type BatchSource,
  constantSchedule,
  packedBatches,
  pretrainStage,
  rowsOf,
  type RunSink,
  streamRows,
  type TokenBatch,
  tokenizeRows,
  train,
} from "@denotron/denotron/train";

/** A run that leaves no files and prints the figures of every `every` steps. */
export function printingRun(every: number, names: readonly string[] = ["loss"]): RunSink {
  return {
    folder: null,
    interrupted: false,
    metrics(step, values) {
      const known = names.filter((name) => values[name] !== undefined);
      if (step % every !== 0 || known.length === 0) return;
      console.log(`step ${step}:`, ...known.map((name) => `${name} ${values[name].toFixed(3)}`));
    },
    sample: (step, text) => console.log(`step ${step}: ${text}`),
    warn: console.warn,
  };
}

/** Text to know, and texts of other words with the same letters. */
export const sentence = "the cat sat on the mat. ";

/** A byte-level tokenizer of a few words. */
export const tokenizer: Tokenizer = trainBpe(["the cat sat on the mat. the dog sat on the log."], {
  ...{ vocabularySize: 280, specialTokens: ["<end>"], eos: "<end>" },
}).tokenizer();

/** A Llama-shaped decoder of this many blocks. */
export function smallSpec(blocks: number): DecoderSpec {
  return {
    ...{ vocab: tokenizer.vocabularySize, dim: 32, context: 64, headDim: 16, tied: true },
    norm: { kind: "rms_norm", eps: 1e-5 },
    rope: { theta: 10_000, fraction: 1, scaling: null },
    blocks: Array.from({ length: blocks }, () => ({
      attention: { kind: "gqa", heads: 2, kvHeads: 1 },
      ffn: { kind: "gated", hidden: 64, activation: "silu" },
    })),
  };
}

/** A text without end, in batches of 256 tokens. */
export function batchesOf(text: string): BatchSource<TokenBatch> {
  const rows = rowsOf([{ text: text.repeat(8) }], "text"), context = 64;
  const source = streamRows(tokenizeRows(rows, { tokenizer, context }));
  return packedBatches({ source, context, tokensPerBatch: 256 });
}

/** A decoder that knows {@linkcode sentence}. */
export async function modelThatKnows(blocks: number): Promise<Decoder> {
  const model = new Decoder(smallSpec(blocks), { seed: 1 });
  const stage = pretrainStage({ model, batches: batchesOf(sentence) });
  await train(stage, { steps: 80, lr: constantSchedule({ peak: 1e-2 }) }, printingRun(80));
  return model;
}
