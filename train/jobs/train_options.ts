/**
 * How a configured run trains.
 *
 * @module
 */
import type { TrainingConfig } from "../config/schema.ts";
import type { TrainOptions } from "../options.ts";
import {
  constantSchedule,
  cosineSchedule,
  linearSchedule,
  type Schedule,
  steepSchedule,
  wsdSchedule,
} from "../schedule.ts";

/** What a configuration says besides the data. */
export type OptimizationConfig = Omit<
  TrainingConfig,
  "context" | "steps" | "epochs" | "batchTokens" | "microBatches"
>;

/** The loop's options for a run of so many steps. */
export function trainOptions(config: OptimizationConfig, steps: number): TrainOptions {
  const { beta1, beta2, eps, weightDecay, averageDecay, patience } = config;
  const { maxGradNorm, spikeFactor, evaluateEvery, sampleEvery, checkpointEvery } = config;
  return {
    steps,
    lr: scheduleOf(config, steps),
    optimizer: { beta1, beta2, eps, weightDecay },
    maxGradNorm,
    guard: { spikeFactor },
    evaluateEvery,
    sampleEvery,
    checkpointEvery,
    keepLast: config.keepLast,
    keepBest: config.keepBest,
    ...averageDecay === undefined ? {} : { averageDecay },
    ...patience === undefined ? {} : { patience },
  };
}

/** The learning rate of each step. */
export function scheduleOf(
  config: Pick<TrainingConfig, "lr" | "schedule" | "warmup" | "endLr" | "decaySteps">,
  steps: number,
): Schedule {
  const { lr: peak, warmup = Math.round(steps / 20), endLr: end } = config;
  const options = { peak, warmup, steps, end };
  switch (config.schedule) {
    case "constant":
      return constantSchedule(options);
    case "cosine":
      return cosineSchedule(options);
    case "linear":
      return linearSchedule(options);
    case "steep":
      return steepSchedule(options);
    case "wsd":
      return wsdSchedule({ ...options, decaySteps: config.decaySteps ?? Math.ceil(steps / 5) });
  }
}
