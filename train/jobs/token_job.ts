/**
 * A configured stage of next-token prediction, ready to run.
 *
 * @module
 */
import { addLora, type Decoder, generate, type Lora } from "../../nn/mod.ts";
import { ChatTemplate, type Tokenizer } from "../../text/mod.ts";
import { ConfigError } from "../config/errors.ts";
import type { PretrainConfig, SftConfig } from "../config/schema.ts";
import type { DistillConfig } from "../config/search_schema.ts";
import { isChat, isCompletion, type Row } from "../data/mod.ts";
import type { TrainOptions } from "../options.ts";
import { pretrainStage } from "../pretrain.ts";
import { sftStage } from "../sft.ts";
import type { Stage, TokenBatch } from "../stage.ts";
import type { TokenStageOptions } from "../token_loss.ts";
import { configuredDistillation, openTeacher } from "./distill_job.ts";
import { openTokenData, type TokenData } from "./token_data.ts";
import { trainOptions } from "./train_options.ts";

/** A stage and how to train it. */
export interface TokenJob extends Disposable {
  readonly stage: Stage<TokenBatch>;
  readonly options: TrainOptions;
  readonly data: TokenData;
  /** Tokens of the longest sequence. */
  readonly context: number;
  /** The adapters, where only they train. */
  readonly lora: Lora | null;
}

/** The model of a job. */
export interface JobModel {
  readonly decoder: Decoder;
  readonly tokenizer: Tokenizer;
}

/** A stage's name and its configuration. */
export type TokenJobConfig =
  | { readonly stage: "pretrain"; readonly config: PretrainConfig }
  | { readonly stage: "sft"; readonly config: SftConfig }
  | { readonly stage: "distill"; readonly config: DistillConfig };

/** Tokens of a sample. */
const sampleTokens = 64;

/** Opens the data and puts the stage together. Throws DataError where model and data do not fit. */
export async function tokenJob(
  job: TokenJobConfig,
  { decoder, tokenizer }: JobModel,
  tell: (line: string) => void,
): Promise<TokenJob> {
  const { config } = job;
  if (config.context !== undefined && config.context > decoder.context) {
    throw new ConfigError([
      `context must be at most the ${decoder.context} tokens that the model reads, ` +
      `${config.context} given. Lower it, or train another model.`,
    ]);
  }
  const context = config.context ?? Math.min(decoder.context, config.batchTokens);
  const vocabulary = decoder.spec.vocab;
  const data = await openTokenData(config, { tokenizer, vocabulary, context, tell });
  const epochSteps = Math.max(1, Math.ceil(data.epochTokens / config.batchTokens));
  const steps = config.steps ?? Math.max(1, Math.round((config.epochs ?? 1) * epochSteps));
  const adapters = job.stage === "sft" ? job.config.lora : null;
  const lora = adapters === null ? null : addLora(decoder, { ...adapters, seed: config.seed });
  const options = trainOptions(config, steps);
  const resets = job.stage === "sft" && job.config.resetOptimizer
    ? Array.from(
      { length: Math.floor((steps - 1) / epochSteps) },
      (_, i) => (i + 1) * epochSteps + 1,
    )
    : [];
  const { batches, heldOut, example } = data;
  const parts: TokenStageOptions = {
    model: decoder,
    batches,
    ...heldOut.length > 0 && { heldOut },
    ...example !== null &&
      { sample: () => Promise.resolve(sample({ decoder, tokenizer }, example)) },
  };
  const teacher = job.stage === "distill" ? openTeacher(job.config) : null;
  return {
    stage: job.stage === "distill"
      ? configuredDistillation(job.config, teacher, parts)
      : job.stage === "sft"
      ? sftStage(parts)
      : pretrainStage(parts),
    options: resets.length > 0 ? { ...options, resetOptimizerAt: resets } : options,
    data,
    context,
    lora,
    [Symbol.dispose]() {
      data[Symbol.dispose]();
      teacher?.[Symbol.dispose]();
    },
  };
}

/** What the model makes of a row: the prompt, and what it thinks comes next. */
function sample({ decoder, tokenizer }: JobModel, row: Row): string {
  const prompt = promptOf(tokenizer, row).slice(-Math.ceil(decoder.context / 2));
  const stop = [...tokenizer.special.eos];
  const made = [...generate(decoder, [prompt], { maxTokens: sampleTokens, stop })];
  return tokenizer.decode([...prompt, ...made.map(({ id }) => id)]);
}

/** What comes before that which is trained; the first words of a text. */
function promptOf(tokenizer: Tokenizer, row: Row): number[] {
  if (isChat(row)) {
    const last = row.messages.findLastIndex(({ role }) => role === "assistant");
    return ChatTemplate.for(tokenizer).encode(tokenizer, row.messages.slice(0, last), {
      addGenerationPrompt: true,
    });
  }
  if (isCompletion(row)) return tokenizer.encode(row.prompt, { special: true });
  return tokenizer.encode(String(row.text), { special: true }).slice(0, 16);
}
