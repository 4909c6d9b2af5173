/**
 * Short byte strings by number, all in one array.
 *
 * @module
 */

/** Where nothing was set. */
const unset = -1;

/**
 * Byte strings by number. A vocabulary has a hundred thousand of them: as objects, the garbage collector would have to carry
 * each one over, while somebody waits.
 */
export class ByteTable {
  readonly #begins: Int32Array;
  readonly #ends: Int32Array;
  #bytes = new Uint8Array(1024);
  #size = 0;

  /** Room for the numbers from 0 to `count - 1`; nothing is set. */
  constructor(count: number) {
    this.#begins = new Int32Array(count).fill(unset);
    this.#ends = new Int32Array(count);
  }

  /** What was set, as a view that must not be written to; undefined where nothing was. */
  get(number: number): Uint8Array | undefined {
    const begin = this.#begins[number] ?? unset;
    return begin === unset ? undefined : this.#bytes.subarray(begin, this.#ends[number]);
  }

  /** Keeps a copy of some bytes. Each number is set once. */
  set(number: number, bytes: Uint8Array): void {
    const end = this.#size + bytes.length;
    if (end > this.#bytes.length) {
      const wider = new Uint8Array(2 * end);
      wider.set(this.#bytes);
      this.#bytes = wider;
    }
    this.#bytes.set(bytes, this.#size);
    [this.#begins[number], this.#ends[number]] = [this.#size, end];
    this.#size = end;
  }
}
