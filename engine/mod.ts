/**
 * Batched generation: one engine for rollouts, evaluation and serving.
 *
 * @module
 */
export { Engine, type EngineOptions, type PromptCompletion, type StepEvent } from "./engine.ts";
export type { Choice, Generation } from "./generation.ts";
export type { HistogramSnapshot, MetricsSnapshot } from "./metrics.ts";
export * from "./request.ts";
