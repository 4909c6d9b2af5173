/**
 * The state of one text that is being generated.
 *
 * @module
 */
import type { Chain } from "./prefix.ts";

/** Where a sequence is in its life. */
export type SequenceStatus = "waiting" | "running" | "finished";

/** What the scheduler knows about a request. */
export interface SequenceOptions {
  /** Smaller numbers run first; 0 by default. */
  readonly priority?: number;
}

/** Tokens, and how far they are computed. */
export class Sequence {
  /** The prompt, then what was generated. */
  readonly tokens: number[];
  /** Tokens of the prompt. */
  readonly promptLength: number;
  /** Smaller numbers run first. */
  readonly priority: number;
  /** The first so many tokens have their keys and values in the blocks. */
  computed = 0;
  /** Blocks of the key-value memory, in order. */
  readonly blocks: number[] = [];
  /** The names of its full blocks, as far as they are computed. */
  readonly chains: Chain[] = [];
  /** Where it is in its life. */
  status: SequenceStatus = "waiting";
  /** Its place in line: smaller ones are served first. Given by the scheduler. */
  order = 0;
  /** Prompt tokens that were found computed when it first ran. */
  reused = 0;

  /** A sequence that nothing was computed of. */
  constructor(prompt: readonly number[], { priority = 0 }: SequenceOptions = {}) {
    this.tokens = prompt.slice();
    this.promptLength = prompt.length;
    this.priority = priority;
  }

  /** Tokens that are not computed yet. */
  get pending(): number {
    return this.tokens.length - this.computed;
  }

  /** Tokens that were generated. */
  get generated(): number {
    return this.tokens.length - this.promptLength;
  }
}
