const TWO_32 = 2 ** 32;

/**
 * The argument block of a native kernel: 8-byte slots in one buffer that is written again for every call.
 *
 * A C kernel is `int32_t name(const uint64_t *args)` and is called with {@link Arguments.pointer}. Behind the slots lies
 * a table with the address of each slot, {@link Arguments.table}, which is what a launcher that wants one pointer per
 * parameter (`void **params`) takes. Values are appended in order; every slot is little-endian and 8 bytes wide whatever
 * it holds. Appending allocates nothing. The block must outlive the call, so keep it as long as the kernels that use it.
 *
 * @example
 * ```ts
 * import { Arguments } from "@denotron/denotron/ffi";
 * import assert from "node:assert/strict";
 *
 * const args = new Arguments(4);
 * args.reset().address(4096).integer(-1).float(0.5);
 * assert.equal(args.length, 3);
 * assert.equal(new Deno.UnsafePointerView(args.pointer).getBigInt64(8), -1n);
 * ```
 */
export class Arguments {
  /** Address of the first slot: the `const uint64_t *args` of a C kernel. */
  readonly pointer: Deno.PointerObject;
  /** Address of the table of slot addresses: the `void **params` of a launcher. */
  readonly table: Deno.PointerObject;
  /** How many values fit. */
  readonly capacity: number;

  // The same memory twice: slot i is words 2i (low) and 2i + 1 (high), or float 2i.
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #floats: Float32Array<ArrayBuffer>;
  #length = 0;

  /**
   * Makes an empty block.
   *
   * @param slots How many values fit.
   * @throws {RangeError} When `slots` is not a positive integer.
   */
  constructor(slots = 48) {
    if (!Number.isSafeInteger(slots) || slots < 1) {
      throw new RangeError(
        `Arguments: the number of slots must be a positive integer, got ${slots}`,
      );
    }
    const buffer = new ArrayBuffer(slots * 16);
    const quads = new BigUint64Array(buffer);
    this.pointer = Deno.UnsafePointer.of(quads)!;
    const base = Deno.UnsafePointer.value(this.pointer);
    for (let i = 0; i < slots; i++) quads[slots + i] = base + BigInt(8 * i);
    this.table = Deno.UnsafePointer.create(base + BigInt(8 * slots))!;
    this.capacity = slots;
    this.#words = new Uint32Array(buffer);
    this.#floats = new Float32Array(buffer);
  }

  /** How many values have been appended since the last {@link Arguments.reset}. */
  get length(): number {
    return this.#length;
  }

  /** Starts the next call's arguments at the first slot. */
  reset(): this {
    this.#length = 0;
    return this;
  }

  /**
   * Appends a native address.
   *
   * @param value The address; 0 is the null pointer.
   * @throws {RangeError} When the block is full, or `value` is not an integer from 0 to 2⁵³ − 1.
   */
  address(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) throw invalid("address", "0", value);
    const word = this.#next();
    this.#words[word] = value; // the low 32 bits: typed arrays store modulo 2^32
    this.#words[word + 1] = value / TWO_32;
    return this;
  }

  /**
   * Appends an integer as i64.
   *
   * @param value Any safe integer; negative ones are two's complement.
   * @throws {RangeError} When the block is full, or `value` is not a safe integer.
   */
  integer(value: number): this {
    if (!Number.isSafeInteger(value)) throw invalid("integer", "-(2^53 - 1)", value);
    const word = this.#next();
    this.#words[word] = value;
    this.#words[word + 1] = Math.floor(value / TWO_32); // rounds down, so that -1 becomes all ones
    return this;
  }

  /**
   * Appends a number as f32, in the low half of its slot; the high half is zero.
   *
   * @param value Any number; it is rounded to f32.
   * @throws {RangeError} When the block is full.
   */
  float(value: number): this {
    const word = this.#next();
    this.#floats[word] = value;
    this.#words[word + 1] = 0;
    return this;
  }

  /** Claims the next slot; returns the index of its low word. */
  #next(): number {
    const slot = this.#length;
    if (slot === this.capacity) throw full(slot);
    this.#length = slot + 1;
    return slot * 2;
  }
}

// Errors are built out of line, which keeps the appending methods small enough for the engine to inline.
function full(slots: number): RangeError {
  return new RangeError(
    `Arguments: no slot left for value ${slots + 1}, the block was made for ${slots}. ` +
      `Make it with new Arguments(${slots * 2}).`,
  );
}

function invalid(kind: string, least: string, value: number): RangeError {
  return new RangeError(
    `Arguments: ${kind} out of range, ${value} (a whole number from ${least} to 2^53 - 1).`,
  );
}
