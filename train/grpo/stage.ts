/**
 * The stage of reinforcement learning.
 *
 * @module
 */
import { type Decoder, decoderLogProbs } from "../../nn/mod.ts";
import { Tensor } from "../../tensor/mod.ts";
import type { Stage } from "../stage.ts";
import { policyWeight } from "./batch.ts";
import { policyLoss, policyMetrics } from "./loss.ts";
import { policyLossDefaults } from "./options.ts";
import { PolicyBatches, type RolloutBatch, type RolloutOptions } from "./policy_batches.ts";

/** What reinforcement learning needs. */
export interface GrpoStageOptions extends Omit<RolloutOptions, "loss"> {
  /** How the loss is made up. */
  readonly loss?: RolloutOptions["loss"];
  /** Held-out figures. */
  readonly evaluate?: () => Promise<Readonly<Record<string, number>>>;
  /** A text to look at. */
  readonly sample?: () => Promise<string>;
}

/**
 * A stage that lets the model answer prompts, scores the answers, and makes the better ones of each prompt more likely.
 * The model that trains also generates: its engine, if it has one, takes over the weights before each rollout (`refresh`).
 */
export function grpoStage(options: GrpoStageOptions): Stage<RolloutBatch> {
  const loss = policyLossDefaults(options.loss ?? {});
  const { policy: model, maxTokens, evaluate, sample } = options;
  return {
    name: "grpo",
    model,
    batches: new PolicyBatches({ ...options, loss }),
    weight: (batch) => policyWeight(batch, loss.normalizer, maxTokens),
    tokens: ({ ids }) => ids.length,
    loss: (batch, total) => {
      const { logProbs, entropy } = targetsOf(model, batch, loss.temperature);
      const metrics = { ...batch.figures, ...policyMetrics(logProbs, entropy, batch, loss) };
      return { loss: policyLoss(logProbs, batch, total, loss), metrics };
    },
    ...(evaluate && { evaluate }),
    ...(sample && { sample }),
  };
}

/** What the model says now about a batch's targets, [tokens]. */
function targetsOf(
  model: Decoder,
  { ids, targets, lengths }: RolloutBatch,
  temperature: number,
): { readonly logProbs: Tensor; readonly entropy: Tensor } {
  const tensor = (values: Int32Array) => Tensor.from(values, [values.length], { dtype: "i32" });
  return decoderLogProbs(model, tensor(ids), tensor(targets), { lengths, temperature });
}
