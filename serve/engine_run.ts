/**
 * The tokens of one answer on their way from the engine's thread to whoever waits for them.
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

/** Of an answer that ended before the engine ended it. */
export function cutResult(error: Error | null): EngineResult {
  return { kind: "end", reason: "abort", stop: null, error };
}

/** Tokens as they come, then how it ended. Tokens wait here for a slow reader; there are at most as many as were asked for. */
export class EngineRun implements AsyncIterable<EngineTokens | EngineResult> {
  readonly #events: (EngineTokens | EngineResult)[] = [];
  readonly #cancel: () => void;
  #news = Promise.withResolvers<void>();

  /** `cancel` tells the engine. */
  constructor(cancel: () => void) {
    this.#cancel = cancel;
  }

  /** Adds what the engine tells. */
  push(event: EngineTokens | EngineResult): void {
    this.#events.push(event);
    this.#news.resolve();
  }

  /** Ends it before the engine does. */
  cancel(): void {
    this.#cancel();
  }

  /** What comes, until the end has come. */
  async *[Symbol.asyncIterator](): AsyncGenerator<EngineTokens | EngineResult, void> {
    while (true) {
      if (this.#events.length === 0) {
        this.#news = Promise.withResolvers<void>();
        await this.#news.promise;
      }
      const event = this.#events.shift()!;
      yield event;
      if (event.kind === "end") return;
    }
  }
}
