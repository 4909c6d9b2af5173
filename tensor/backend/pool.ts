/**
 * A caching allocator over large segments: best fit, split on take, merged with free neighbours on give. It knows nothing
 * about devices; both backends use it.
 *
 * @module
 */
import { OutOfMemoryError } from "../errors.ts";

/** Memory as the system handed it out. */
export interface MemorySegment {
  /** Native address of its first byte. */
  readonly address: number;
  /** How many bytes it holds. */
  readonly bytes: number;
  /** The same memory as JavaScript sees it; null where it cannot. */
  readonly buffer: ArrayBuffer | null;
  /** Byte of `buffer` at which the segment starts. */
  readonly start: number;
}

/** A piece of a segment, in use or free. */
export interface MemoryBlock {
  /** Where it was cut from. */
  readonly segment: MemorySegment;
  /** Bytes from the segment's first byte. */
  readonly offset: number;
  /** How many bytes it holds. */
  bytes: number;
  /** Whether it waits for reuse. */
  free: boolean;
  /** The block before it in its segment. */
  previous: MemoryBlock | null;
  /** The block after it in its segment. */
  next: MemoryBlock | null;
}

/** Figures of a pool, in bytes but for the count. */
export interface MemoryStats {
  /** Handed out and not given back. */
  inUse: number;
  /** Blocks handed out and not given back. */
  blocks: number;
  /** The most that was in use at once since the last `resetPeak`. */
  peak: number;
  /** Taken from the system, in use or cached for reuse. */
  reserved: number;
  /** The most that may be reserved. */
  limit: number;
}

/** Where a pool gets its segments. */
export interface SegmentSource {
  /** A segment of at least `bytes` bytes, 64-byte aligned. May throw when the system has none. */
  allocate(bytes: number): MemorySegment;
  /** Give a segment back. */
  release(segment: MemorySegment): void;
}

const alignment = 64;
const smallLimit = 4096; // up to here blocks come from slabs of one size each, and are never merged
const slabBytes = 64 * 1024;
const largeGrain = 4096;
const defaultSegmentBytes = 32 * 1024 * 1024;
const segmentGrain = 2 * 1024 * 1024; // huge pages

const roundUp = (value: number, grain: number): number => Math.ceil(value / grain) * grain;

/** Hands out 64-byte aligned blocks and keeps what is given back for the next request. */
export class Pool {
  readonly #source: SegmentSource;
  readonly #small: MemoryBlock[][] = []; // free small blocks, by bytes / alignment
  readonly #large: MemoryBlock[] = []; // free large blocks, smallest first
  readonly #segmentBytes: number;
  readonly #stats: MemoryStats;

  /** A pool over `source` that reserves at most `limit` bytes, at least `segmentBytes` at a time while it can. */
  constructor(source: SegmentSource, limit: number, segmentBytes: number = defaultSegmentBytes) {
    this.#source = source;
    this.#segmentBytes = segmentBytes;
    this.#stats = { inUse: 0, blocks: 0, peak: 0, reserved: 0, limit };
  }

  /** A copy of the figures. */
  get stats(): MemoryStats {
    return { ...this.#stats };
  }

  /** The most that may be reserved, in bytes. */
  set limit(bytes: number) {
    this.#stats.limit = bytes;
  }

  /** Start measuring the peak anew from what is in use. */
  resetPeak(): void {
    this.#stats.peak = this.#stats.inUse;
  }

  /** A block of at least `bytes` bytes with undefined contents. Throws OutOfMemoryError beyond the limit. */
  take(bytes: number): MemoryBlock {
    const block = bytes <= smallLimit
      ? this.#takeSmall(bytes)
      : this.#takeLarge(roundUp(bytes, largeGrain));
    block.free = false;
    const stats = this.#stats;
    stats.blocks++;
    stats.inUse += block.bytes;
    if (stats.inUse > stats.peak) stats.peak = stats.inUse;
    return block;
  }

  /** Give a block back for reuse. */
  give(block: MemoryBlock): void {
    this.#stats.blocks--;
    this.#stats.inUse -= block.bytes;
    block.free = true;
    if (block.bytes <= smallLimit) this.#small[block.bytes / alignment].push(block);
    else this.#addLarge(this.#merge(block));
  }

  /** Return wholly free segments to the system. Returns the number of bytes released. */
  trim(): number {
    let released = 0;
    for (const block of [...this.#large]) {
      if (block.previous || block.next) continue;
      this.#removeLarge(block);
      released += this.#release(block.segment);
    }
    return released;
  }

  #takeSmall(bytes: number): MemoryBlock {
    const size = Math.max(alignment, roundUp(bytes, alignment));
    const free = this.#small[size / alignment] ??= [];
    const block = free.pop();
    if (block) return block;
    const { segment, offset } = this.#takeLarge(slabBytes);
    for (let at = slabBytes - size; at >= 0; at -= size) {
      free.push({
        segment,
        offset: offset + at,
        bytes: size,
        free: true,
        previous: null,
        next: null,
      });
    }
    return free.pop()!;
  }

  #takeLarge(bytes: number): MemoryBlock {
    const index = this.#firstFit(bytes);
    const block = index < this.#large.length
      ? this.#large.splice(index, 1)[0]
      : this.#reserve(bytes);
    if (block.bytes - bytes >= largeGrain) this.#addLarge(split(block, bytes));
    block.free = false;
    return block;
  }

  /** Index of the smallest free block of at least `bytes` bytes, by bisection. */
  #firstFit(bytes: number): number {
    let low = 0, high = this.#large.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#large[middle].bytes < bytes) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #reserve(bytes: number): MemoryBlock {
    const stats = this.#stats;
    let size = Math.max(this.#segmentBytes, roundUp(bytes, segmentGrain));
    if (stats.reserved + size > stats.limit) this.trim();
    if (stats.reserved + size > stats.limit) size = bytes;
    if (stats.reserved + size > stats.limit) throw this.#outOfMemory(bytes);
    const segment = this.#allocate(size, bytes);
    stats.reserved += segment.bytes;
    return { segment, offset: 0, bytes: segment.bytes, free: true, previous: null, next: null };
  }

  /** A segment of `size` bytes; where the system refuses, one of only `bytes` after cached memory is given back. */
  #allocate(size: number, bytes: number): MemorySegment {
    try {
      return this.#source.allocate(size);
    } catch {
      this.trim();
    }
    try {
      return this.#source.allocate(bytes);
    } catch (cause) {
      throw this.#outOfMemory(bytes, cause);
    }
  }

  #release(segment: MemorySegment): number {
    this.#stats.reserved -= segment.bytes;
    this.#source.release(segment);
    return segment.bytes;
  }

  #merge(block: MemoryBlock): MemoryBlock {
    const { previous, next } = block;
    if (next?.free) {
      this.#removeLarge(next);
      join(block, next);
    }
    if (!previous?.free) return block;
    this.#removeLarge(previous);
    join(previous, block);
    return previous;
  }

  #addLarge(block: MemoryBlock): void {
    this.#large.splice(this.#firstFit(block.bytes), 0, block);
  }

  #removeLarge(block: MemoryBlock): void {
    this.#large.splice(this.#large.indexOf(block, this.#firstFit(block.bytes)), 1);
  }

  #outOfMemory(bytes: number, cause?: unknown): OutOfMemoryError {
    const { inUse, reserved, limit } = this.#stats;
    return new OutOfMemoryError(
      `memory: no room for ${bytes} more bytes, ${inUse} in use, ${reserved} reserved (limit ${limit}). ` +
        `Dispose tensors, wrap the step in scope(), use smaller batches, or raise the limit.`,
      { cause },
    );
  }
}

/** Cut `block` after `bytes` bytes; returns the rest, free. */
function split(block: MemoryBlock, bytes: number): MemoryBlock {
  const rest: MemoryBlock = {
    segment: block.segment,
    offset: block.offset + bytes,
    bytes: block.bytes - bytes,
    free: true,
    previous: block,
    next: block.next,
  };
  if (rest.next) rest.next.previous = rest;
  block.next = rest;
  block.bytes = bytes;
  return rest;
}

/** Grow `block` over its neighbour `next`. */
function join(block: MemoryBlock, next: MemoryBlock): void {
  block.bytes += next.bytes;
  block.next = next.next;
  if (next.next) next.next.previous = block;
}
