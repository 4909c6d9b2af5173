/**
 * How a model answers problems.
 *
 * @module
 */
import { Engine } from "../../engine/mod.ts";
import type { Decoder } from "../../nn/mod.ts";
import { type CompletionSource, engineCompletions } from "../generator.ts";

/** Sequences that are answered at the same time; more make steps longer, and hardly more tokens a second. */
export const atOnce = 128;

/** An engine with room for many answers at a time. */
export function engineFor(decoder: Decoder): Engine {
  const blockTokens = 16, blocks = Math.ceil(decoder.context / blockTokens);
  return new Engine(decoder, {
    maxRunning: atOnce,
    blockTokens,
    kvTokens: atOnce * (blocks + 1) * blockTokens,
  });
}

/** Completions by an engine until someone asks to stop: then it throws the signal's reason. */
export function stoppable(engine: Engine, signal: AbortSignal): CompletionSource {
  const complete = engineCompletions(engine);
  return async (prompts, options) => {
    signal.throwIfAborted();
    try {
      return await complete(prompts, { ...options, signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  };
}
