/**
 * The stage of the recipe that measures what the model can do.
 *
 * @module
 */
import { setImmediate } from "node:timers/promises";
import { type Decoder, generate } from "../../nn/mod.ts";
import { rlRow } from "../data/synthetic/mod.ts";
import { evaluate } from "../eval/mod.ts";
import { type CompletionIds, type CompletionSource, decoderCompletions } from "../generator.ts";
import { exactReward } from "../rewards/mod.ts";
import type { PipelineStage } from "./context.ts";

/** Prompts that are answered together; between them Ctrl-C has its turn. */
const batch = 50;

/** Answers problems that nothing was trained on, with thinking and without. */
export const evaluationStage: PipelineStage = {
  name: "evaluation",
  title: "answers problems that it has not seen",
  async run(context) {
    const { recipe: { seed, tasks, evaluation: { problems, maxTokens } }, signal } = context;
    const tokenizer = await context.tokenizer();
    using decoder = context.load("sft", { train: false });
    const rows = Array.from({ length: problems }, (_, i) => {
      const { prompt, ...row } = rlRow(i, { ...tasks, seed, split: "test" });
      return { messages: prompt, ...row };
    });
    const task = { name: "synthetic", rows, correct: exactReward };
    try {
      const completions = stoppable(decoderCompletions(decoder), signal);
      const reports = await evaluate([task], {
        ...{ generate: completions, tokenizer, maxTokens, temperature: 0, topP: 1, seed },
      });
      const [on, off] = ["on", "off"].map((mode) => reports.find((one) => one.mode === mode)!);
      return {
        tokens: Math.round(problems * (on.tokens + off.tokens)),
        metrics: {
          accuracyOn: on.accuracy.value,
          accuracyOff: off.accuracy.value,
          formatOn: on.format.value,
          formatOff: off.format.value,
          endedOn: on.ended.value,
          endedOff: off.ended.value,
          problems,
          decodeTokensPerSecond: decodeSpeed(decoder),
        },
      };
    } catch (error) {
      if (error === signal.reason) return null;
      throw error;
    }
  },
};

/** The same completions, a few prompts at a time. Throws the signal's reason when it aborts. */
function stoppable(source: CompletionSource, signal: AbortSignal): CompletionSource {
  return async (prompts, { onCompletion, ...options }) => {
    const completions: CompletionIds[] = [];
    for (let start = 0; start < prompts.length; start += batch) {
      signal.throwIfAborted();
      const part = await source(prompts.slice(start, start + batch), options);
      part.forEach((completion, i) => onCompletion?.(completion, start + i));
      completions.push(...part);
      await setImmediate();
    }
    return completions;
  };
}

const warmTokens = 8, timedTokens = 64;

/** New tokens per second of one text. */
function decodeSpeed(decoder: Decoder): number {
  const make = (maxTokens: number): number => [...generate(decoder, [[0]], { maxTokens })].length;
  make(warmTokens);
  const start = performance.now();
  return make(timedTokens) / ((performance.now() - start) / 1000);
}
