/**
 * What one answer hears of the engine's thread.
 *
 * @module
 */
import type { FinishReason } from "./openai/dialect.ts";
import type { EngineTokens } from "./protocol.ts";

/** How an answer ended. */
export interface EngineResult {
  /** Tells it from tokens. */
  readonly kind: "end";
  /** Why. */
  readonly reason: FinishReason;
  /** The id that ended it, if one did. */
  readonly stop: number | null;
  /** The error to answer with, if there is one. */
  readonly error: Error | null;
}

/** Tokens as they come, then how it ended. */
export type EngineEvent = EngineTokens | EngineResult;

/** An answer that the engine makes. */
export interface EngineRun {
  /** Ends it before the engine does, with an error to answer with or none. Nothing happens when it has ended. */
  cancel(error: Error | null): void;
}

/** Of an answer that ended before the engine ended it. */
export function cutResult(error: Error | null): EngineResult {
  return { kind: "end", reason: "abort", stop: null, error };
}
