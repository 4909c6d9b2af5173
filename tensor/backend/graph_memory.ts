/**
 * Memory for work that is captured once and done again.
 *
 * @module
 */
import { CaptureError } from "../errors.ts";
import { type MemoryBlock, type MemorySegment, Pool } from "./pool.ts";

/** Where blocks come from. */
interface Blocks {
  take(bytes: number): MemoryBlock;
  give(block: MemoryBlock): void;
}

/** Small, because graphs of small models need little. */
const segmentBytes = 2 * 1024 * 1024;

/**
 * Memory for what graphs compute on the way, cut from blocks of the device's pool that stay taken. Graphs may share one:
 * what one of them leaves there holds until another one is replayed.
 */
export class GraphMemory implements Disposable {
  readonly #device: Blocks;
  readonly #owners: Map<MemorySegment, GraphMemory>;
  readonly #taken = new Map<MemorySegment, MemoryBlock>();
  readonly #pool: Pool;
  #closed = false;

  /** Empty; `owners` learns which segments are this memory's. */
  constructor(device: Blocks, owners: Map<MemorySegment, GraphMemory>) {
    [this.#device, this.#owners] = [device, owners];
    const source = {
      allocate: (bytes: number) => this.#allocate(bytes),
      release: (segment: MemorySegment) => this.#release(segment),
    };
    this.#pool = new Pool(source, Infinity, segmentBytes);
  }

  #allocate(bytes: number): MemorySegment {
    const block = this.#device.take(bytes);
    const { segment: { address, buffer, start }, offset } = block;
    const segment = {
      ...{ address: address + offset, bytes: block.bytes },
      ...{ buffer, start: start + offset },
    };
    this.#taken.set(segment, block);
    this.#owners.set(segment, this);
    return segment;
  }

  #release(segment: MemorySegment): void {
    this.#device.give(this.#taken.get(segment)!);
    this.#taken.delete(segment);
    this.#owners.delete(segment);
  }

  /** Bytes of the device that it has taken. */
  get reserved(): number {
    return this.#pool.stats.reserved;
  }

  /** A block of at least `bytes` bytes. Throws OutOfMemoryError when the device has none. */
  take(bytes: number): MemoryBlock {
    return this.#pool.take(bytes);
  }

  /** Give a block back, for later captures. */
  give(block: MemoryBlock): void {
    this.#pool.give(block);
    this.#releaseUnused();
  }

  /** Gives everything back to the device, as soon as no tensor lies there. Its graphs must be gone. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#releaseUnused();
  }

  #releaseUnused(): void {
    if (!this.#closed || this.#pool.stats.blocks > 0) return;
    for (const segment of this.#taken.keys()) this.#release(segment);
  }
}

/**
 * Blocks of a device and of its graph memories, each of which goes back to where it came from. While a graph is captured,
 * what is made lies in its memory.
 */
export class GraphBlocks {
  readonly #device: Blocks;
  readonly #owners = new Map<MemorySegment, GraphMemory>();
  #captured: GraphMemory | null = null;

  /** Blocks of a device; there are no graph memories yet. */
  constructor(device: Blocks) {
    this.#device = device;
  }

  /** Whether a graph is captured now. */
  get capturing(): boolean {
    return this.#captured !== null;
  }

  /** Memory for graphs. */
  memory(): GraphMemory {
    return new GraphMemory(this.#device, this.#owners);
  }

  /** A block for what is computed now: of the device, or of the graph that is captured. */
  take(bytes: number): MemoryBlock {
    return (this.#captured ?? this.#device).take(bytes);
  }

  /** Gives a block back to where it came from. */
  give(block: MemoryBlock): void {
    (this.#owners.get(block.segment) ?? this.#device).give(block);
  }

  /** Whether a block is part of a graph memory. */
  owns(block: MemoryBlock): boolean {
    return this.#owners.has(block.segment);
  }

  /** Throws CaptureError while a graph is captured, for nothing is computed then. */
  forbid(what: string): void {
    if (!this.capturing) return;
    throw new CaptureError(
      `graph: ${what} while a graph is captured, when nothing is computed. Do it after replay().`,
    );
  }

  /** Runs `body`, of which a graph is captured. What it makes lies in `memory`. */
  capture<T>(memory: GraphMemory, body: () => T): T {
    this.#captured = memory;
    try {
      return body();
    } finally {
      this.#captured = null;
    }
  }
}
