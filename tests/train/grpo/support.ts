/** A tiny model that learns to write letters, with everything that reinforcement learning needs. */
import type { Engine } from "../../../engine/mod.ts";
import { Decoder, type DecoderSpec } from "../../../nn/mod.ts";
import { type Tokenizer, trainBpe } from "../../../text/mod.ts";
import {
  engineCompletions,
  type GrpoStageOptions,
  type Reward,
  type RewardRow,
  rowsOf,
  streamRows,
} from "../../../train/mod.ts";

export const tokenizer: Tokenizer = trainBpe(["abc abd abe"], {
  vocabularySize: 262,
  specialTokens: ["<|end|>"],
  eos: "<|end|>",
}).tokenizer();

const spec: DecoderSpec = {
  ...{ vocab: tokenizer.vocabularySize, dim: 16, context: 24, headDim: 8, tied: false },
  norm: { kind: "rms_norm", eps: 1e-5 },
  rope: { theta: 10_000, fraction: 1, scaling: null },
  blocks: [
    {
      attention: { kind: "gqa", heads: 2, kvHeads: 1 },
      ffn: { kind: "gated", hidden: 32, activation: "silu" },
    },
  ],
};

export function tinyPolicy(seed = 1): Decoder {
  return new Decoder(spec, { seed });
}

export const rows: RewardRow[] = [..."abcdefgh"].map((letter) => ({
  prompt: `write ${letter}`,
  answer: letter,
}));

/** The share of plain ASCII characters: a model that knows nothing writes half of them. */
export const plainShare: Reward = ({ text }) => {
  const characters = [...text];
  const plain = characters.filter((character) => character < "\u0080").length;
  return characters.length === 0 ? 0 : plain / characters.length;
};

/** Options of a stage around a policy and an engine. */
export function stageOptions(policy: Decoder, engine: Engine): GrpoStageOptions {
  return {
    ...{ policy, tokenizer },
    prompts: streamRows(rowsOf(rows, "letters"), { seed: 2 }),
    rewards: { plain: plainShare },
    combine: ({ plain }) => plain,
    generate: engineCompletions(engine),
    refresh: () => engine.refresh(policy),
    ...{ promptsPerRollout: 4, samplesPerPrompt: 6, stepsPerRollout: 2, maxTokens: 8 },
    advantages: "group",
    loss: { klCost: 0, clipHigh: 0.28 },
    seed: 3,
  };
}
