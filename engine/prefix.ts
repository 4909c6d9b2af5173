/**
 * Which blocks hold the keys and values of which tokens, so that prompts that begin alike are computed once.
 *
 * @module
 */
import type { BlockContents } from "./blocks.ts";

/** Names the tokens of a full block and of all blocks before it. */
export type Chain = number;

/** What comes before the first block. */
export const chainStart: Chain = 0;

interface Entry {
  readonly key: string;
  readonly chain: Chain;
}

/**
 * Full blocks by their tokens and those before them: chain(block) = a number of its own for each pair of chain(block
 * before) and tokens, never used again. Pairs are compared exactly, so no two contents are ever confused.
 */
export class PrefixIndex implements BlockContents {
  readonly #blocks = new Map<string, number>();
  readonly #entries = new Map<number, Entry>();
  #last: Chain = chainStart;

  /** Blocks it knows. */
  get size(): number {
    return this.#entries.size;
  }

  has(block: number): boolean {
    return this.#entries.has(block);
  }

  forget(block: number): void {
    const entry = this.#entries.get(block);
    if (!entry) return;
    this.#entries.delete(block);
    this.#blocks.delete(entry.key);
  }

  /** The block that holds `tokens` after `before`, and the chain up to it; null when there is none. */
  find(before: Chain, tokens: readonly number[]): { block: number; chain: Chain } | null {
    const block = this.#blocks.get(keyOf(before, tokens));
    return block === undefined ? null : { block, chain: this.#entries.get(block)!.chain };
  }

  /** Notes that `block` holds `tokens` after `before`, unless another block does. Returns the chain up to them. */
  add(before: Chain, tokens: readonly number[], block: number): Chain {
    const key = keyOf(before, tokens), known = this.#blocks.get(key);
    if (known !== undefined) return this.#entries.get(known)!.chain;
    const chain = ++this.#last;
    this.#blocks.set(key, block);
    this.#entries.set(block, { key, chain });
    return chain;
  }

  /** Forgets everything. */
  clear(): void {
    this.#blocks.clear();
    this.#entries.clear();
  }
}

function keyOf(before: Chain, tokens: readonly number[]): string {
  return `${before}:${tokens.join()}`;
}
