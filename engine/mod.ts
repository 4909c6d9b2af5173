/**
 * Batched generation: one engine for rollouts, evaluation and serving.
 *
 * @example
 * ```ts
 * import { Engine } from "@denotron/denotron/engine";
 * import { Decoder, type DecoderSpec } from "@denotron/denotron/nn";
 *
 * const spec: DecoderSpec = {
 *   vocab: 32, dim: 16, context: 64, headDim: 8, tied: true,
 *   norm: { kind: "rms_norm", eps: 1e-5 },
 *   rope: { theta: 10_000, fraction: 1, scaling: null },
 *   blocks: [{ attention: { kind: "gqa", heads: 2, kvHeads: 1 }, ffn: null }],
 * };
 * using decoder = new Decoder(spec, { train: false });
 * using engine = new Engine(decoder);
 * const [completion] = await engine.generate([[1, 2]], { maxTokens: 4 });
 * console.assert(completion.ids.length === 4);
 * ```
 *
 * @module
 */
export { Engine, type EngineOptions, type PromptCompletion } from "./engine.ts";
export { kvBytesPerToken } from "./kv_blocks.ts";
export type { HistogramSnapshot, MetricsSnapshot } from "./metrics.ts";
export * from "./request.ts";
export { TextWatcher } from "./text_watcher.ts";
export { Turns } from "./turns.ts";
