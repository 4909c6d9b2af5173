import { FormatError, writeAtomically } from "../../tensor/safetensors.ts";
import { storedBytes, type StoredDType } from "./convert.ts";
import {
  alignUp,
  GGML_TYPES,
  GGUF_ALIGNMENT,
  GGUF_MAGIC,
  GGUF_TYPES,
  type GgufScalar,
  type GgufScalarType,
  type GgufValue,
} from "./gguf_format.ts";

/** One tensor to write; the shape is [out, in]. */
export interface GgufInput {
  /** The name in the file. */
  readonly name: string;
  /** How the bytes store numbers. */
  readonly dtype: StoredDType;
  /** Sizes of the axes, [out, in]. */
  readonly shape: readonly number[];
  /** All of the tensor's bytes, little-endian; called once, when they are written. */
  read(): Uint8Array;
}

/**
 * Writes a GGUF file, version 3, one tensor at a time; it appears whole or not at all.
 * Throws FormatError when a tensor's bytes don't fill its shape, RangeError for a dtype or a value
 * that GGUF can't hold.
 *
 * @example
 * ```ts
 * import { parseGguf, writeGguf } from "@denotron/denotron/nn";
 * import assert from "node:assert/strict";
 *
 * const path = await Deno.makeTempFile();
 * writeGguf(path, new Map([["general.architecture", { type: "string", value: "llama" }]]), [
 *   { name: "output_norm.weight", dtype: "f32", shape: [2], read: () => new Uint8Array(8) },
 * ]);
 * assert.deepEqual(parseGguf(Deno.readFileSync(path)).tensors.get("output_norm.weight")?.shape, [2]);
 * ```
 */
export function writeGguf(
  path: string,
  metadata: ReadonlyMap<string, GgufValue>,
  tensors: Iterable<GgufInput>,
): void {
  const inputs = [...tensors];
  const alignment = Number(metadata.get("general.alignment")?.value ?? GGUF_ALIGNMENT);
  const header = encodeHeader(metadata, inputs, alignment);
  writeAtomically(path, (write) => {
    write(header);
    write(new Uint8Array(alignUp(header.length, alignment) - header.length));
    for (const { name, dtype, shape, read } of inputs) {
      const bytes = read();
      if (bytes.length !== storedBytes(dtype, shape)) {
        throw new FormatError(
          "TensorInvalidInfo",
          `gguf: the bytes of "${name}" do not fill its shape, ${dtype} [${shape}] ` +
            `(${storedBytes(dtype, shape)} needed, ${bytes.length} given). Give all of them.`,
        );
      }
      write(bytes);
      write(new Uint8Array(alignUp(bytes.length, alignment) - bytes.length));
    }
  });
}

function encodeHeader(
  metadata: ReadonlyMap<string, GgufValue>,
  tensors: readonly GgufInput[],
  alignment: number,
): Uint8Array {
  const out = new Encoder();
  out.scalar("uint32", GGUF_MAGIC);
  out.scalar("uint32", 3);
  out.scalar("uint64", BigInt(tensors.length));
  out.scalar("uint64", BigInt(metadata.size));
  for (const [key, value] of metadata) {
    out.scalar("string", key);
    out.value(value);
  }
  let offset = 0;
  for (const { name, dtype, shape } of tensors) {
    const type = GGML_TYPES[dtype];
    if (type === undefined) {
      throw new RangeError(`gguf: tensors cannot be ${dtype}, "${name}". Use f32, f16 or bf16.`);
    }
    out.scalar("string", name);
    out.scalar("uint32", shape.length);
    for (const size of shape.toReversed()) out.scalar("uint64", BigInt(size));
    out.scalar("uint32", type);
    out.scalar("uint64", BigInt(offset));
    offset = alignUp(offset + storedBytes(dtype, shape), alignment);
  }
  return out.bytes();
}

/** Appends little-endian values. */
class Encoder {
  readonly #parts: Uint8Array[] = [];
  readonly #text = new TextEncoder();

  value(value: GgufValue): void {
    this.scalar("uint32", GGUF_TYPES.indexOf(value.type));
    if (value.type !== "array") return this.scalar(value.type, value.value);
    this.scalar("uint32", GGUF_TYPES.indexOf(value.of));
    this.scalar("uint64", BigInt(value.value.length));
    for (const item of value.value) this.scalar(value.of, item);
  }

  scalar(type: GgufScalarType, value: GgufScalar): void {
    if (type === "string") {
      const bytes = this.#text.encode(String(value));
      this.scalar("uint64", BigInt(bytes.length));
      this.#parts.push(bytes);
    } else this.#parts.push(encodeNumber(type, value));
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.#parts.reduce((total, part) => total + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }
}

function encodeNumber(type: Exclude<GgufScalarType, "string">, value: GgufScalar): Uint8Array {
  switch (type) {
    case "uint8":
      return bytesOf(Uint8Array.of(Number(value)));
    case "int8":
      return bytesOf(Int8Array.of(Number(value)));
    case "bool":
      return bytesOf(Uint8Array.of(value === true ? 1 : 0));
    case "uint16":
      return bytesOf(Uint16Array.of(Number(value)));
    case "int16":
      return bytesOf(Int16Array.of(Number(value)));
    case "uint32":
      return bytesOf(Uint32Array.of(Number(value)));
    case "int32":
      return bytesOf(Int32Array.of(Number(value)));
    case "float32":
      return bytesOf(Float32Array.of(Number(value)));
    case "float64":
      return bytesOf(Float64Array.of(Number(value)));
    case "uint64":
      return bytesOf(BigUint64Array.of(BigInt(value)));
    case "int64":
      return bytesOf(BigInt64Array.of(BigInt(value)));
  }
}

function bytesOf(numbers: { readonly buffer: ArrayBuffer }): Uint8Array {
  return new Uint8Array(numbers.buffer);
}
