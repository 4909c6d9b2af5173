/**
 * Exact fractions.
 *
 * @module
 */

/** Results with more bits than this are not computed exactly. */
const maxBits = 8192;

/**
 * A fraction of whole numbers of any size, always in lowest terms.
 *
 * @example
 * ```ts
 * import { Rational } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * const sum = Rational.parse("0.5").plus(Rational.of(1n, 3n));
 * assert.equal(sum.toString(), "5/6");
 * ```
 */
export class Rational {
  private constructor(
    /** Carries the sign. */
    readonly numerator: bigint,
    /** More than 0. */
    readonly denominator: bigint,
  ) {}

  /** numerator / denominator. Throws RangeError for a denominator of 0. */
  static of(numerator: bigint, denominator = 1n): Rational {
    if (denominator === 0n) throw new RangeError("Rational: the denominator is zero (0).");
    const divisor = greatestCommonDivisor(numerator, denominator);
    const sign = denominator < 0n ? -1n : 1n;
    return new Rational(sign * numerator / divisor, sign * denominator / divisor);
  }

  /** The value of decimal digits such as `12.50`, `.4` or `1.2e-3`. Throws RangeError for anything else. */
  static parse(digits: string): Rational {
    const match = /^(\d*)(?:\.(\d*))?(?:[eE]([-+]?\d{1,3}))?$/.exec(digits);
    if (!match || !/^\.?\d/.test(digits)) {
      throw new RangeError(`Rational: not a decimal number (${JSON.stringify(digits)}).`);
    }
    const [, whole, decimals = "", exponent = "0"] = match;
    const places = BigInt(exponent) - BigInt(decimals.length), value = BigInt(whole + decimals);
    return places >= 0n ? Rational.of(value * 10n ** places) : Rational.of(value, 10n ** -places);
  }

  /** this + other */
  plus(other: Rational): Rational {
    return Rational.of(
      this.numerator * other.denominator + other.numerator * this.denominator,
      this.denominator * other.denominator,
    );
  }

  /** this · other */
  times(other: Rational): Rational {
    return Rational.of(this.numerator * other.numerator, this.denominator * other.denominator);
  }

  /** −this */
  negate(): Rational {
    return new Rational(-this.numerator, this.denominator);
  }

  /** 1 / this. Throws RangeError for zero. */
  invert(): Rational {
    return Rational.of(this.denominator, this.numerator);
  }

  /** this to a whole power; null where the result would be too long to be worth it, or does not exist. */
  power(exponent: bigint): Rational | null {
    if (exponent < 0n) return this.numerator === 0n ? null : this.invert().power(-exponent);
    const bits = BigInt(Math.max(bitLength(this.numerator), bitLength(this.denominator)));
    if (bits > 1n && bits * exponent > maxBits) return null;
    // Ones are the only values of one bit, besides zero: their powers are found without a loop.
    const small = bits <= 1n ? (exponent === 0n ? 0n : 2n - exponent % 2n) : exponent;
    return new Rational(this.numerator ** small, this.denominator ** small);
  }

  /** Whether this is a whole number. */
  get isInteger(): boolean {
    return this.denominator === 1n;
  }

  /** Whether the fraction has become too long to be worth computing on. */
  get isLong(): boolean {
    return bitLength(this.numerator) > maxBits || bitLength(this.denominator) > maxBits;
  }

  /** Whether both are the same number. */
  equals(other: Rational): boolean {
    return this.numerator === other.numerator && this.denominator === other.denominator;
  }

  /** The nearest number that JavaScript has. */
  toNumber(): number {
    const excess = Math.min(bitLength(this.numerator), bitLength(this.denominator)) - 1000;
    const shift = BigInt(Math.max(0, excess));
    return Number(this.numerator >> shift) / Number(this.denominator >> shift);
  }

  /** `3` or `3/4`. */
  toString(): string {
    return this.isInteger ? `${this.numerator}` : `${this.numerator}/${this.denominator}`;
  }
}

/** The largest whole number that divides both, by Euclid; 1 for 0 and 0. */
function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  let [x, y] = [a < 0n ? -a : a, b < 0n ? -b : b];
  while (y > 0n) [x, y] = [y, x % y];
  return x === 0n ? 1n : x;
}

/** Binary digits of the absolute value. */
function bitLength(value: bigint): number {
  const hex = (value < 0n ? -value : value).toString(16);
  return hex.length * 4 - Math.clz32(Number.parseInt(hex[0], 16)) + 28;
}
