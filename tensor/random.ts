/**
 * Random numbers that are a function of a key and a counter (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * 2011). The i-th draw of a key is the same whatever was drawn before, in what order, in what batch, on what device.
 *
 * @module
 */

/** Four 32-bit words. */
export type FourWords = [number, number, number, number];

/** The high half of the product of two 32-bit words: by halves of `a`, so that every step is exact in a double. */
function multiplyHigh(a: number, b: number): number {
  const low = Math.floor((a & 0xffff) * b / 0x10000);
  return Math.floor(((a >>> 16) * b + low) / 0x10000);
}

/**
 * Philox4x32-10: four random words for a counter and a key, all unsigned.
 *
 * @example
 * ```ts
 * import { philox } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 * assert.deepEqual(philox([0, 0, 0, 0], [0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
 * ```
 */
export function philox(counter: Readonly<FourWords>, key: readonly [number, number]): FourWords {
  let [a, b, c, d] = counter, [k, l] = key;
  for (let round = 0; round < 10; round++) {
    const high = multiplyHigh(0xd2511f53, a), low = Math.imul(0xd2511f53, a);
    const other = multiplyHigh(0xcd9e8d57, c), otherLow = Math.imul(0xcd9e8d57, c);
    a = (other ^ b ^ k) >>> 0;
    b = otherLow >>> 0;
    c = (high ^ d ^ l) >>> 0;
    d = low >>> 0;
    k = (k + 0x9e3779b9) >>> 0;
    l = (l + 0xbb67ae85) >>> 0;
  }
  return [a, b, c, d];
}

// The last word of a counter tells draws from the ways to derive a key, so that no two of them ever meet.
const drawTag = 0, numberTag = 1, textTag = 2;

/**
 * Where random numbers come from: a value, made from a seed and purposes. Sub-keys are independent of each other and of
 * the numbers drawn from their parent, so each use (data order, initial weights of one layer, dropout of one step) derives
 * its own, and no use disturbs another.
 *
 * @example
 * ```ts
 * import { RandomKey } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 * const run = new RandomKey(42), dropout = run.derive("dropout");
 * assert.notEqual(dropout.derive(0).bits(0), dropout.derive(1).bits(0)); // step 0, step 1
 * assert.equal(dropout.bits(7), new RandomKey(42).derive("dropout").bits(7));
 * ```
 */
export class RandomKey {
  /** The Philox key. */
  readonly words: readonly [number, number];

  /** The key of a seed, a whole number from 0 to 2⁵³ − 1, or of two words. Throws RangeError for another seed. */
  constructor(seed: number | readonly [number, number]) {
    if (typeof seed !== "number") {
      this.words = [seed[0] >>> 0, seed[1] >>> 0];
      return;
    }
    this.words = split("RandomKey: the seed", seed);
  }

  /** The key for one use. Throws RangeError for a number that is not whole or below 0. */
  derive(purpose: string | number): RandomKey {
    if (typeof purpose === "number") {
      const [low, high] = split("derive: the purpose", purpose);
      const [a, b] = philox([low, high, 0, numberTag], this.words);
      return new RandomKey([a, b]);
    }
    return new RandomKey(absorb(this.words, new TextEncoder().encode(purpose)));
  }

  /** Random word `index`, from 0 to 2³² − 1: what tensors filled by this key are made of. */
  bits(index: number): number {
    return randomBlock(this, Math.floor(index / 4))[index % 4];
  }

  /** Random number `index` in [0, 1), of 53 bits. */
  uniform(index: number): number {
    const words = randomBlock(this, Math.floor(index / 2)), at = index % 2 * 2;
    return (words[at] * 2 ** 21 + (words[at + 1] >>> 11)) * 2 ** -53;
  }
}

/** Random words 4·`block` to 4·`block` + 3 of a key. */
export function randomBlock({ words }: RandomKey, block: number): FourWords {
  return philox([block >>> 0, Math.floor(block / 2 ** 32), 0, drawTag], words);
}

/**
 * The numbers 0 to `count` − 1 in random order (Fisher & Yates).
 *
 * @example
 * ```ts
 * import { permutation, RandomKey } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 * const order = permutation(5, new RandomKey(1).derive("epoch").derive(0));
 * assert.deepEqual(order.toSorted(), new Uint32Array([0, 1, 2, 3, 4]));
 * ```
 */
export function permutation(count: number, key: RandomKey): Uint32Array<ArrayBuffer> {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(key.uniform(i) * (i + 1)), value = order[i];
    order[i] = order[j];
    order[j] = value;
  }
  return order;
}

/** Hash bytes into a key, 12 at a time: each block, numbered, is encrypted by the key so far. */
function absorb(key: readonly [number, number], bytes: Uint8Array): readonly [number, number] {
  const blocks = Math.floor(bytes.length / 12) + 1; // with room for the mark that ends the text
  const padded = new Uint8Array(blocks * 12);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  for (let block = 0; block < blocks; block++) {
    const word = (i: number): number => view.getUint32(block * 12 + 4 * i, true);
    const [a, b] = philox([word(0), word(1), word(2), textTag + block], key);
    key = [a, b];
  }
  return key;
}

/** Low and high word of a whole number. */
function split(what: string, value: number): readonly [number, number] {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(
      `${what} is out of range (${value}). Use a whole number from 0 to 2^53 - 1.`,
    );
  }
  return [value >>> 0, Math.floor(value / 2 ** 32)];
}
