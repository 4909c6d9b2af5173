/**
 * Reference-counted memory.
 *
 * @module
 */
import type { Backend } from "./backend/backend.ts";
import type { MemoryBlock } from "./backend/pool.ts";

/** A block of a backend's memory; the only owner of bytes. Tensors, views and the tape each hold a reference. */
export class Storage {
  #references = 1;
  /** Native address of the first byte. */
  readonly address: number;

  /** Take ownership of `block`, which `backend` handed out. */
  constructor(readonly backend: Backend, readonly block: MemoryBlock) {
    this.address = block.segment.address + block.offset;
  }

  /** Bytes it holds, which may be a few more than were asked for. */
  get bytes(): number {
    return this.block.bytes;
  }

  /** Live references. */
  get references(): number {
    return this.#references;
  }

  /** Take one more reference. */
  retain(): this {
    this.#references++;
    return this;
  }

  /** Drop one reference; the last one gives the memory back to the backend. */
  release(): void {
    if (--this.#references === 0) this.backend.free(this);
  }
}
