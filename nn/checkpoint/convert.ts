import { e4m3ToNumber } from "../../tensor/dtype.ts";

/** How a checkpoint stores numbers; `q8_0` is llama.cpp's blocks of 32 signed bytes and a scale. */
export type StoredDType =
  | "f64"
  | "f32"
  | "f16"
  | "bf16"
  | "e4m3"
  | "e5m2"
  | "i64"
  | "i32"
  | "i16"
  | "i8"
  | "u8"
  | "bool"
  | "q8_0";

/** Stored numbers that share one scale in `q8_0`. */
export const Q8_BLOCK = 32;
/** An f16 scale and 32 signed bytes. */
const Q8_BLOCK_BYTES = 2 + Q8_BLOCK;

const ELEMENT_BYTES: Record<Exclude<StoredDType, "q8_0">, number> = {
  f64: 8,
  f32: 4,
  f16: 2,
  bf16: 2,
  e4m3: 1,
  e5m2: 1,
  i64: 8,
  i32: 4,
  i16: 2,
  i8: 1,
  u8: 1,
  bool: 1,
};

/**
 * Bytes that a tensor takes. Throws RangeError when the last axis of a `q8_0` tensor isn't a
 * multiple of 32.
 */
export function storedBytes(dtype: StoredDType, shape: readonly number[]): number {
  const count = shape.reduce((a, b) => a * b, 1);
  if (dtype !== "q8_0") return count * ELEMENT_BYTES[dtype];
  const row = shape.at(-1) ?? 1;
  if (row % Q8_BLOCK !== 0) {
    throw new RangeError(
      `q8_0: rows must divide into blocks, [${shape.join(", ")}] (${row} vs ${Q8_BLOCK}). ` +
        `Store this tensor as f16.`,
    );
  }
  return count / Q8_BLOCK * Q8_BLOCK_BYTES;
}

/**
 * Decodes stored little-endian bytes to f32: exactly for f32, f16, bf16 and the 8-bit floats
 * (NaN, infinities, subnormals and −0 included), rounded to nearest for f64.
 * Throws RangeError for integer dtypes, which aren't weights, and for a partial element.
 *
 * @example
 * ```ts
 * import { fromFloat32, toFloat32 } from "@denotron/denotron/nn";
 * import assert from "node:assert/strict";
 *
 * const bytes = fromFloat32("bf16", new Float32Array([1, -2.5]));
 * assert.deepEqual([...toFloat32("bf16", bytes)], [1, -2.5]);
 * ```
 */
export function toFloat32(dtype: StoredDType, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const size = dtype === "q8_0" ? Q8_BLOCK_BYTES : ELEMENT_BYTES[dtype];
  if (bytes.length % size !== 0) {
    throw new RangeError(
      `toFloat32: the bytes do not divide into ${dtype}, ${bytes.length} bytes ` +
        `(${bytes.length % size} left over). Read the whole tensor.`,
    );
  }
  switch (dtype) {
    case "f32":
      return new Float32Array(copyOf(bytes));
    case "f64":
      return Float32Array.from(new Float64Array(copyOf(bytes)));
    case "f16":
      return Float32Array.from(new Float16Array(copyOf(bytes)));
    case "bf16":
      return fromBfloat16(new Uint16Array(copyOf(bytes)));
    case "e4m3":
      return Float32Array.from(bytes, e4m3ToNumber);
    case "e5m2":
      // e5m2 is the upper byte of f16.
      return Float32Array.from(new Float16Array(Uint16Array.from(bytes, (b) => b << 8).buffer));
    case "q8_0":
      return fromQ8(bytes);
    default:
      throw new RangeError(`toFloat32: ${dtype} does not hold weights. Read its bytes instead.`);
  }
}

/**
 * Encodes f32 numbers, rounding to the nearest (ties to even; NaN stays NaN).
 * Throws RangeError for a dtype that weights aren't written in, and for `q8_0` when a number isn't
 * finite or the count isn't a multiple of 32.
 */
export function fromFloat32(dtype: StoredDType, values: Float32Array): Uint8Array<ArrayBuffer> {
  switch (dtype) {
    case "f32":
      return new Uint8Array(Float32Array.from(values).buffer);
    case "f64":
      return new Uint8Array(Float64Array.from(values).buffer);
    case "f16":
      return new Uint8Array(Float16Array.from(values).buffer);
    case "bf16":
      return new Uint8Array(toBfloat16(values).buffer);
    case "q8_0":
      return toQ8(values);
    default:
      throw new RangeError(`fromFloat32: weights are not written as ${dtype}. Use f32 or bf16.`);
  }
}

/** Aligned memory of its own, which typed arrays need. */
function copyOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

/** bf16 is the upper half of f32. */
function fromBfloat16(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i] << 16;
  return new Float32Array(bits.buffer);
}

function toBfloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(Float32Array.from(values).buffer);
  const halves = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const isNaN = (bits[i] & 0x7fffffff) > 0x7f800000;
    // Half of the dropped part's unit, less one when the kept part is even: ties go to even.
    // A NaN keeps its upper bits, made quiet so that it can't turn into an infinity.
    halves[i] = isNaN ? bits[i] >>> 16 | 0x40 : bits[i] + 0x7fff + (bits[i] >>> 16 & 1) >>> 16;
  }
  return halves;
}

/** Values are scale · q. Source: `dequantize_row_q8_0` in ggml. */
function fromQ8(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const blocks = bytes.length / Q8_BLOCK_BYTES;
  const values = new Float32Array(blocks * Q8_BLOCK);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let block = 0; block < blocks; block++) {
    const at = block * Q8_BLOCK_BYTES;
    const scale = view.getFloat16(at, true);
    for (let i = 0; i < Q8_BLOCK; i++) {
      values[block * Q8_BLOCK + i] = scale * view.getInt8(at + 2 + i);
    }
  }
  return values;
}

/**
 * scale = max |x| / 127, q = round(x / scale), halves away from zero, all in f32.
 * Source: `quantize_row_q8_0_ref` in ggml.
 */
function toQ8(values: Float32Array): Uint8Array<ArrayBuffer> {
  const blocks = storedBytes("q8_0", [values.length]) / Q8_BLOCK_BYTES;
  const bytes = new Uint8Array(blocks * Q8_BLOCK_BYTES);
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < blocks; block++) {
    const at = block * Q8_BLOCK_BYTES;
    const part = values.subarray(block * Q8_BLOCK, (block + 1) * Q8_BLOCK);
    let largest = 0;
    for (const value of part) {
      if (!Number.isFinite(value)) {
        throw new RangeError(`q8_0: a number is ${value} (finite ones needed). Use f16 or f32.`);
      }
      largest = Math.max(largest, Math.abs(value));
    }
    const scale = Math.fround(largest / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    view.setFloat16(at, scale, true);
    part.forEach((value, i) => {
      const scaled = Math.fround(value * inverse);
      view.setInt8(at + 2 + i, Math.sign(scaled) * Math.floor(Math.abs(scaled) + 0.5));
    });
  }
  return bytes;
}
