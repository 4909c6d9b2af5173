import { FormatError, type FormatErrorCode } from "../../tensor/safetensors.ts";
import { Q8_BLOCK, storedBytes, type StoredDType } from "./convert.ts";

/** The types of a GGUF metadata value, in the order of their numbers in the file. */
export const GGUF_TYPES = [
  "uint8",
  "int8",
  "uint16",
  "int16",
  "uint32",
  "int32",
  "float32",
  "bool",
  "string",
  "array",
  "uint64",
  "int64",
  "float64",
] as const;

/** The type of a single metadata value. */
export type GgufScalarType = Exclude<(typeof GGUF_TYPES)[number], "array">;
/** A single metadata value; 64-bit integers are bigints. */
export type GgufScalar = number | bigint | boolean | string;
/** A typed metadata value. */
export type GgufValue =
  | { readonly type: GgufScalarType; readonly value: GgufScalar }
  | { readonly type: "array"; readonly of: GgufScalarType; readonly value: readonly GgufScalar[] };

/** Where one tensor lies; the shape is [out, in], `begin` and `end` are byte offsets in the file. */
export interface GgufTensor {
  /** How its numbers are stored. */
  readonly dtype: StoredDType;
  /** Sizes of the axes, [out, in]. */
  readonly shape: readonly number[];
  /** Byte offset of its first byte in the file. */
  readonly begin: number;
  /** Byte offset after its last byte. */
  readonly end: number;
}

/** A parsed header: metadata and tensors in file order. */
export interface GgufHeader {
  /** Typed values by key. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** Tensors by the file's names. */
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** Numbers of the tensor types that are read and written. Source: `enum ggml_type`. */
export const GGML_TYPES: Readonly<Partial<Record<StoredDType, number>>> = {
  f32: 0,
  f16: 1,
  q8_0: 8,
  i8: 24,
  i16: 25,
  i32: 26,
  i64: 27,
  f64: 28,
  bf16: 30,
};
/** Names of other tensor types, for the message. */
const OTHER_GGML_TYPES: Readonly<Record<number, string>> = {
  2: "Q4_0",
  3: "Q4_1",
  6: "Q5_0",
  7: "Q5_1",
  9: "Q8_1",
  10: "Q2_K",
  11: "Q3_K",
  12: "Q4_K",
  13: "Q5_K",
  14: "Q6_K",
  15: "Q8_K",
  20: "IQ4_NL",
  23: "IQ4_XS",
  39: "MXFP4",
};

/** "GGUF" as a little-endian u32. */
export const GGUF_MAGIC = 0x46554747;
/** Tensor data starts at multiples of this, unless `general.alignment` says otherwise. */
export const GGUF_ALIGNMENT = 32;
const MAX_KEY_BYTES = 65535;
const MAX_NAME_BYTES = 64;
const MAX_AXES = 4;
/** The least bytes that a metadata pair, and a tensor's description, can take. */
const LEAST_PAIR_BYTES = 13;
const LEAST_TENSOR_BYTES = 24;

const SCALAR_BYTES: Record<GgufScalarType, number> = {
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  uint32: 4,
  int32: 4,
  float32: 4,
  bool: 1,
  string: 8,
  uint64: 8,
  int64: 8,
  float64: 8,
};

/** The error of a GGUF file; `fix` ends the message. */
export function ggufError(code: FormatErrorCode, what: string, fix: string): FormatError {
  return new FormatError(code, `gguf: ${what}. ${fix}`);
}

/**
 * Parses the header of a little-endian GGUF file, version 2 or 3, and checks it against the
 * length of the file. `head` starts at the file's first byte and holds at least the header; when
 * it holds less, the error's code is `Truncated`. Sizes are checked before memory is taken.
 * Throws FormatError. Source: ggml `docs/gguf.md` and `gguf.cpp`.
 */
export function parseGguf(head: Uint8Array, fileBytes: number = head.length): GgufHeader {
  const cursor = new Cursor(head, fileBytes);
  if (head.length < 4 || cursor.uint32() !== GGUF_MAGIC) {
    throw ggufError("Invalid", 'the file does not start with "GGUF"', "Give a GGUF file.");
  }
  const version = cursor.uint32();
  if (version !== 2 && version !== 3) {
    const fix = version === 0x03000000
      ? "Big-endian files are not supported; convert it to little-endian."
      : "Versions 2 and 3 are supported; convert it with a current llama.cpp.";
    throw ggufError("Unsupported", `the version is ${version}`, fix);
  }
  const tensorCount = cursor.count("tensors", LEAST_TENSOR_BYTES);
  const pairCount = cursor.count("metadata pairs", LEAST_PAIR_BYTES);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < pairCount; i++) {
    const key = cursor.string(MAX_KEY_BYTES);
    if (metadata.has(key)) throw damaged(`the metadata key "${key}" comes twice`);
    metadata.set(key, readValue(cursor, key));
  }
  const listed = Array.from({ length: tensorCount }, () => readTensorInfo(cursor));
  return { metadata, tensors: placeTensors(listed, cursor.at, alignmentOf(metadata), fileBytes) };
}

function readValue(cursor: Cursor, key: string): GgufValue {
  const type = readType(cursor, key);
  if (type !== "array") return { type, value: cursor.scalar(type) };
  const of = readType(cursor, key);
  if (of === "array") {
    throw ggufError("Unsupported", `"${key}" is a list of lists`, "Remove this metadata key.");
  }
  const length = cursor.count(`values in "${key}"`, SCALAR_BYTES[of]);
  return { type, of, value: Array.from({ length }, () => cursor.scalar(of)) };
}

function readType(cursor: Cursor, key: string): (typeof GGUF_TYPES)[number] {
  const number = cursor.uint32();
  const type = GGUF_TYPES[number];
  if (type === undefined) throw damaged(`"${key}" has the unknown type ${number}`);
  return type;
}

type TensorInfo = Pick<GgufTensor, "dtype" | "shape"> & { name: string; offset: number };

function readTensorInfo(cursor: Cursor): TensorInfo {
  const name = cursor.string(MAX_NAME_BYTES);
  const axes = cursor.uint32();
  if (axes > MAX_AXES) throw damaged(`tensor "${name}" has ${axes} axes (at most ${MAX_AXES})`);
  // The file lists the innermost axis first.
  const shape = Array.from({ length: axes }, () => cursor.natural()).reverse();
  const type = cursor.uint32();
  const dtype = (Object.keys(GGML_TYPES) as StoredDType[]).find((k) => GGML_TYPES[k] === type);
  if (dtype === undefined) {
    throw ggufError(
      "Unsupported",
      `tensor "${name}" is stored as ${OTHER_GGML_TYPES[type] ?? `type ${type}`}`,
      "Convert the model to F32, F16, BF16 or Q8_0.",
    );
  }
  return { name, shape, dtype, offset: cursor.natural() };
}

function alignmentOf(metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get("general.alignment")?.value ?? GGUF_ALIGNMENT;
  if (typeof alignment !== "number" || alignment <= 0 || Math.log2(alignment) % 1 !== 0) {
    throw damaged(`general.alignment is ${alignment}, which is not a power of two`);
  }
  return alignment;
}

/** Tensors follow each other in the order of the header, each start aligned. */
function placeTensors(
  listed: readonly TensorInfo[],
  headerEnd: number,
  alignment: number,
  fileBytes: number,
): Map<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>();
  const dataStart = alignUp(headerEnd, alignment);
  let expected = 0;
  for (const { name, dtype, shape, offset } of listed) {
    if (tensors.has(name)) throw damaged(`the tensor name "${name}" comes twice`);
    if (offset !== expected) {
      throw damaged(`tensor "${name}" starts at ${offset} (expected ${expected})`);
    }
    if (dtype === "q8_0" && (shape.at(-1) ?? 1) % Q8_BLOCK !== 0) {
      throw damaged(`tensor "${name}" [${shape}] does not divide into blocks of ${Q8_BLOCK}`);
    }
    const end = offset + storedBytes(dtype, shape);
    if (!Number.isSafeInteger(end) || dataStart + end > fileBytes) {
      throw damaged(`tensor "${name}" ends after the file (${dataStart + end} vs ${fileBytes})`);
    }
    tensors.set(name, { dtype, shape, begin: dataStart + offset, end: dataStart + end });
    expected = alignUp(end, alignment);
  }
  return tensors;
}

/** The next multiple of `alignment`. */
export function alignUp(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}

function damaged(what: string): FormatError {
  return ggufError("Invalid", what, "The file is damaged; download it again.");
}

/** Reads values one after the other and refuses to pass the end. */
class Cursor {
  at = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #fileBytes: number;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  constructor(bytes: Uint8Array, fileBytes: number) {
    this.#bytes = bytes;
    this.#fileBytes = fileBytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** A u64 that a number can hold. */
  natural(): number {
    const value = this.#view.getBigUint64(this.#take(8), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw damaged(`a size is ${value} (2^53 at most)`);
    return Number(value);
  }

  /** A u64 count of things that take at least `each` bytes, checked before they are listed. */
  count(what: string, each: number): number {
    const count = this.natural();
    if (count * each > this.#fileBytes - this.at) {
      throw damaged(`${count} ${what} do not fit the file`);
    }
    if (count * each > this.#bytes.length - this.at) throw this.#truncated(count * each);
    return count;
  }

  string(maxBytes: number = Number.MAX_SAFE_INTEGER): string {
    const length = this.natural();
    if (length > maxBytes) throw damaged(`a name has ${length} bytes (at most ${maxBytes})`);
    const begin = this.#take(length);
    try {
      return this.#decoder.decode(this.#bytes.subarray(begin, begin + length));
    } catch {
      throw damaged(`the text at byte ${begin} is not UTF-8`);
    }
  }

  scalar(type: GgufScalarType): GgufScalar {
    if (type === "string") return this.string();
    const at = this.#take(SCALAR_BYTES[type]);
    switch (type) {
      case "uint8":
        return this.#view.getUint8(at);
      case "int8":
        return this.#view.getInt8(at);
      case "uint16":
        return this.#view.getUint16(at, true);
      case "int16":
        return this.#view.getInt16(at, true);
      case "uint32":
        return this.#view.getUint32(at, true);
      case "int32":
        return this.#view.getInt32(at, true);
      case "float32":
        return this.#view.getFloat32(at, true);
      case "float64":
        return this.#view.getFloat64(at, true);
      case "uint64":
        return this.#view.getBigUint64(at, true);
      case "int64":
        return this.#view.getBigInt64(at, true);
      case "bool": {
        const byte = this.#view.getUint8(at);
        if (byte > 1) throw damaged(`a boolean is ${byte}`);
        return byte === 1;
      }
    }
  }

  #take(bytes: number): number {
    const begin = this.at;
    if (bytes > this.#bytes.length - begin) throw this.#truncated(bytes);
    this.at += bytes;
    return begin;
  }

  #truncated(bytes: number): FormatError {
    return ggufError(
      "Truncated",
      `the header ends early, at byte ${this.#bytes.length} (${this.at + bytes} needed)`,
      "Download it again.",
    );
  }
}
