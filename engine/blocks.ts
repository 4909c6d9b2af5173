/**
 * Which blocks of the key-value memory are in use, and by how many sequences.
 *
 * @module
 */

/** What remembers the contents of blocks that nobody uses. */
export interface BlockContents {
  /** Whether a block holds something that may be asked for again. */
  has(block: number): boolean;
  /** The block is about to hold something else. */
  forget(block: number): void;
}

/**
 * Counts references to numbered blocks. A block that nobody refers to any more is free; when its contents may be asked
 * for again it is kept until no other block is left, the one unused for longest going first.
 */
export class BlockPool {
  /** How many blocks there are. */
  readonly count: number;
  readonly #references: Uint32Array;
  readonly #free: number[];
  /** Unreferenced blocks with contents, from the one unused for longest. */
  readonly #idle = new Set<number>();
  readonly #contents: BlockContents | null;

  /** All blocks are free. */
  constructor(count: number, contents: BlockContents | null = null) {
    this.count = count;
    this.#references = new Uint32Array(count);
    this.#free = Array.from({ length: count }, (_, i) => count - 1 - i);
    this.#contents = contents;
  }

  /** Blocks that can be taken. */
  get available(): number {
    return this.#free.length + this.#idle.size;
  }

  /** Blocks that somebody refers to. */
  get used(): number {
    return this.count - this.available;
  }

  /** How many refer to a block. */
  references(block: number): number {
    return this.#references[block];
  }

  /** A block of one's own, contents undefined. Throws RangeError when none is available. */
  take(): number {
    let block = this.#free.pop();
    if (block === undefined) {
      block = this.#idle.values().next().value;
      if (block === undefined) {
        throw new RangeError(
          `blocks: all ${this.count} are in use (0 available). Ask available first.`,
        );
      }
      this.#idle.delete(block);
      this.#contents?.forget(block);
    }
    this.#references[block] = 1;
    return block;
  }

  /** One more refers to a block, which may have been idle. */
  share(block: number): void {
    this.#idle.delete(block);
    this.#references[block]++;
  }

  /** One less refers to a block. */
  release(block: number): void {
    if (--this.#references[block] > 0) return;
    if (this.#contents?.has(block)) this.#idle.add(block);
    else this.#free.push(block);
  }

  /** Idle blocks are free from now on: nobody will ask for what they hold. */
  dropIdle(): void {
    this.#free.push(...this.#idle);
    this.#idle.clear();
  }
}
