/**
 * Memory of a GPU, and the way to and from it.
 *
 * @module
 */
import type { CudaDriver } from "../../ffi/cuda/mod.ts";
import { OutOfMemoryError } from "../errors.ts";
import type { MemoryBlock, MemorySegment, MemoryStats } from "./pool.ts";

/** What hands out blocks: a pool, or each block on its own. */
export interface BlockSource {
  /** Figures, in bytes but for the count. */
  readonly stats: MemoryStats;
  /** The most that may be reserved, in bytes. */
  set limit(bytes: number);
  /** Start measuring the peak of memory in use anew. */
  resetPeak(): void;
  /** A block of at least `bytes` bytes. */
  take(bytes: number): MemoryBlock;
  /** Give a block back. */
  give(block: MemoryBlock): void;
  /** Return memory that nobody uses to the system; returns the number of bytes. */
  trim(): number;
}

/** A segment of device memory. */
export function deviceSegment(driver: CudaDriver, bytes: number): MemorySegment {
  return { address: driver.allocate(bytes), bytes, buffer: null, start: 0 };
}

/**
 * Every block is an allocation of its own, and exactly as large as was asked for, so that the driver notices who writes
 * beyond it. Slow: for looking for errors.
 */
export class ExactBlocks implements BlockSource {
  readonly #driver: CudaDriver;
  readonly #stats: MemoryStats;

  /** Blocks from `driver`, at most `limit` bytes. */
  constructor(driver: CudaDriver, limit: number) {
    this.#driver = driver;
    this.#stats = { inUse: 0, blocks: 0, peak: 0, reserved: 0, limit };
  }

  get stats(): MemoryStats {
    return { ...this.#stats };
  }

  set limit(bytes: number) {
    this.#stats.limit = bytes;
  }

  resetPeak(): void {
    this.#stats.peak = this.#stats.inUse;
  }

  take(wanted: number): MemoryBlock {
    const stats = this.#stats, bytes = Math.max(wanted, 1);
    if (stats.inUse + bytes > stats.limit) {
      throw new OutOfMemoryError(
        `memory: no room for ${bytes} more bytes, ${stats.inUse} in use (limit ${stats.limit}). ` +
          `Dispose tensors, use smaller batches, or raise the limit.`,
      );
    }
    const segment = deviceSegment(this.#driver, bytes);
    stats.blocks++;
    stats.inUse = stats.reserved = stats.inUse + bytes;
    stats.peak = Math.max(stats.peak, stats.inUse);
    return { segment, offset: 0, bytes, free: false, previous: null, next: null };
  }

  give({ segment, bytes }: MemoryBlock): void {
    this.#stats.blocks--;
    this.#stats.inUse = this.#stats.reserved = this.#stats.inUse - bytes;
    this.#driver.free(segment.address);
  }

  trim(): number {
    return 0;
  }
}

const pieceBytes = 2 * 1024 * 1024, pieces = 4;

/** A stretch of pinned memory that belongs to one copy. */
export interface Staging {
  /** Address for the device. */
  readonly address: number;
  /** The same bytes for JavaScript. */
  readonly bytes: Uint8Array;
}

/**
 * Pinned memory through which copies go, so that a write returns before the device has read it. It is used round and
 * round in pieces; a piece is used again once the stream has passed the copies that were in it.
 */
export class StagingRing {
  readonly #driver: CudaDriver;
  readonly #stream: Deno.PointerObject;
  readonly #address: number;
  readonly #buffer: ArrayBuffer;
  readonly #events: (Deno.PointerObject | null)[] = Array.from({ length: pieces }, () => null);
  #piece = 0;
  #used = 0;

  /** The most bytes that one copy can take. */
  readonly most: number = pieceBytes;

  /** Memory for copies on `stream`. */
  constructor(driver: CudaDriver, stream: Deno.PointerObject) {
    this.#driver = driver;
    this.#stream = stream;
    const { address, buffer } = driver.allocateHost(pieces * pieceBytes);
    this.#address = address;
    this.#buffer = buffer;
  }

  /** Room for the next copy of at most `most` bytes; the copy must be started before the next call. */
  reserve(bytes: number): Staging {
    if (this.#used + bytes > pieceBytes) this.#turn();
    const offset = this.#piece * pieceBytes + this.#used;
    this.#used += Math.ceil(bytes / 16) * 16;
    return { address: this.#address + offset, bytes: new Uint8Array(this.#buffer, offset, bytes) };
  }

  /** Goes on with the next piece, once its copies are done. */
  #turn(): void {
    const event = this.#events[this.#piece] ??= this.#driver.createEvent();
    this.#driver.recordEvent(event, this.#stream);
    this.#piece = (this.#piece + 1) % pieces;
    this.#used = 0;
    const next = this.#events[this.#piece];
    if (next) this.#driver.awaitEvent(next);
  }
}
