/**
 * Element types: their sizes, how they sit in memory, and how they become JavaScript numbers.
 *
 * @module
 */

/**
 * Element type of a tensor. `f32` and `bf16` compute in kernels; `i32` holds indices and `u8` masks; `f64` computes in the
 * reference implementation only; `f16`, `i8` and `e4m3` are storage that casts to and from the others.
 */
export type DType = "f32" | "bf16" | "f16" | "f64" | "i32" | "i8" | "u8" | "e4m3";

/** A typed array that holds decoded elements. */
export type NumberArray = Float64Array | Float32Array | Int32Array | Int8Array | Uint8Array;

interface DTypeInfo {
  /** Bytes per element. */
  readonly bytes: number;
  /** Kernel code, as in `ops/copy.c`. */
  readonly code: number;
  readonly floating: boolean;
}

const table: Record<DType, DTypeInfo> = {
  f32: { bytes: 4, code: 0, floating: true },
  bf16: { bytes: 2, code: 1, floating: true },
  f16: { bytes: 2, code: 2, floating: true },
  f64: { bytes: 8, code: 3, floating: true },
  i32: { bytes: 4, code: 4, floating: false },
  i8: { bytes: 1, code: 5, floating: false },
  u8: { bytes: 1, code: 6, floating: false },
  e4m3: { bytes: 1, code: 7, floating: true },
};

/** Every element type. */
export const dtypes: readonly DType[] = Object.keys(table) as DType[];

/** Bytes of one element. */
export function bytesOf(dtype: DType): number {
  return table[dtype].bytes;
}

/** The number that stands for `dtype` in kernel arguments. */
export function codeOf(dtype: DType): number {
  return table[dtype].code;
}

/** Whether elements of `dtype` are floating point. */
export function isFloating(dtype: DType): boolean {
  return table[dtype].floating;
}

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

/** The f32 whose upper half is `half`. */
export function bf16ToNumber(half: number): number {
  bits[0] = half << 16;
  return float[0];
}

/** Round to the nearest bf16, ties to even; NaN stays NaN. */
export function numberToBf16(value: number): number {
  float[0] = value;
  if (value !== value) return 0x7fc0;
  return ((bits[0] + 0x7fff + ((bits[0] >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The value of an 8-bit e4m3 float (bias 7, no infinities, 0x7f and 0xff are NaN). */
export function e4m3ToNumber(code: number): number {
  const sign = code & 0x80 ? -1 : 1;
  const exponent = (code >> 3) & 15, mantissa = code & 7;
  if (exponent === 15 && mantissa === 7) return NaN;
  if (exponent === 0) return sign * mantissa * 2 ** -9;
  return sign * (1 + mantissa / 8) * 2 ** (exponent - 7);
}

/** Round to the nearest e4m3 float, ties to even, saturating at ±448; NaN stays NaN. */
export function numberToE4m3(value: number): number {
  if (value !== value) return 0x7f;
  const sign = value < 0 || Object.is(value, -0) ? 0x80 : 0;
  const magnitude = Math.min(Math.abs(value), 448);
  const exponent = Math.max(-6, Math.floor(Math.log2(Math.max(magnitude, 2 ** -9))));
  const steps = roundHalfEven(magnitude / 2 ** (exponent - 3));
  // steps counts eighths of 2^exponent; a carry to 16 is the next exponent's first value.
  const [e, m] = steps === 16 ? [exponent + 1, 8] : [exponent, steps];
  if (m < 8) return sign | m;
  return sign | ((e + 7) << 3) | (m - 8);
}

function roundHalfEven(x: number): number {
  const low = Math.floor(x), rest = x - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
}

/** Decode `count` elements that start at byte `offset` of `buffer` into an array of numbers. */
export function decode(
  dtype: DType,
  buffer: ArrayBufferLike,
  offset: number,
  count: number,
): NumberArray {
  switch (dtype) {
    case "f32":
      return new Float32Array(buffer, offset, count).slice();
    case "f64":
      return new Float64Array(buffer, offset, count).slice();
    case "i32":
      return new Int32Array(buffer, offset, count).slice();
    case "i8":
      return new Int8Array(buffer, offset, count).slice();
    case "u8":
      return new Uint8Array(buffer, offset, count).slice();
    case "bf16":
      return Float32Array.from(new Uint16Array(buffer, offset, count), bf16ToNumber);
    case "f16":
      return Float32Array.from(new Float16Array(buffer, offset, count));
    case "e4m3":
      return Float32Array.from(new Uint8Array(buffer, offset, count), e4m3ToNumber);
  }
}

/** Encode numbers as elements of `dtype`, starting at byte `offset` of `buffer`. */
export function encode(
  dtype: DType,
  values: ArrayLike<number>,
  buffer: ArrayBufferLike,
  offset: number,
): void {
  const count = values.length;
  switch (dtype) {
    case "f32":
      return new Float32Array(buffer, offset, count).set(values);
    case "f64":
      return new Float64Array(buffer, offset, count).set(values);
    case "i32":
      return new Int32Array(buffer, offset, count).set(values);
    case "i8":
      return new Int8Array(buffer, offset, count).set(values);
    case "u8":
      return new Uint8Array(buffer, offset, count).set(values);
    case "f16":
      return new Float16Array(buffer, offset, count).set(values);
    case "bf16": {
      const to = new Uint16Array(buffer, offset, count);
      for (let i = 0; i < count; i++) to[i] = numberToBf16(values[i]);
      return;
    }
    case "e4m3": {
      const to = new Uint8Array(buffer, offset, count);
      for (let i = 0; i < count; i++) to[i] = numberToE4m3(values[i]);
      return;
    }
  }
}
