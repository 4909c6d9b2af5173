import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import {
  FormatError,
  LENGTH_BYTES,
  METADATA_KEY,
  parseSafetensorsHeader,
  SAFETENSORS_BITS,
  safetensorsBytes,
  type SafetensorsDType,
  type SafetensorsEntry,
} from "./safetensors_header.ts";

export * from "./safetensors_header.ts";

/** One tensor to write; `chunks` yields its little-endian bytes, in order, in pieces of any size. */
export interface SafetensorsInput {
  /** The name in the file. */
  readonly name: string;
  /** What the bytes hold. */
  readonly dtype: SafetensorsDType;
  /** Sizes of the axes. */
  readonly shape: readonly number[];
  /** The tensor's bytes, little-endian, in order; called once, when they are written. */
  chunks(): Iterable<Uint8Array>;
}

/** The file that says which shard holds which tensor. */
export const INDEX_FILE = "model.safetensors.index.json";

/** One system call moves less than 2 GiB, so longer tensors are read in pieces. */
const READ_BYTES = 1 << 30;

/**
 * A safetensors file, opened for reading. Only the header is read at first; each tensor's bytes
 * are read when asked for, from their place in the file.
 *
 * @example
 * ```ts
 * import { SafetensorsFile, writeSafetensors } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * const path = await Deno.makeTempFile();
 * const bytes = new Uint8Array([0, 0, 128, 63]); // 1 as an f32
 * writeSafetensors(path, [{ name: "one", dtype: "F32", shape: [], chunks: () => [bytes] }]);
 * using file = SafetensorsFile.open(path);
 * assert.deepEqual(file.read("one"), bytes);
 * ```
 */
export class SafetensorsFile {
  /** The file's path, as it was given. */
  readonly path: string;
  /** The tensors by name, in file order. */
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
  /** The header's free-form text pairs. */
  readonly metadata: ReadonlyMap<string, string>;
  #descriptor: number | null;

  private constructor(path: string, descriptor: number) {
    const fileBytes = fstatSync(descriptor).size;
    const head = readHead(descriptor, fileBytes);
    const { entries, metadata } = parseSafetensorsHeader(head, fileBytes);
    this.path = path;
    this.entries = entries;
    this.metadata = metadata;
    this.#descriptor = descriptor;
  }

  /**
   * Opens a file and reads its header.
   * Throws {@linkcode FormatError} (naming the file) when it isn't a whole safetensors file.
   */
  static open(path: string): SafetensorsFile {
    const descriptor = openSync(path, "r");
    try {
      return new SafetensorsFile(path, descriptor);
    } catch (error) {
      closeSync(descriptor);
      if (error instanceof FormatError) {
        throw new FormatError(error.code, `${error.message} File: ${path}.`);
      }
      throw error;
    }
  }

  /** The bytes of one tensor, little-endian. Throws {@linkcode FormatError} for an unknown name. */
  read(name: string): Uint8Array {
    const { begin, end } = this.#entry(name);
    const target = new Uint8Array(end - begin);
    this.readInto(name, target);
    return target;
  }

  /**
   * Reads the bytes of one tensor into memory that the caller holds.
   * Throws {@linkcode FormatError} for an unknown name, RangeError when `target` has another size.
   */
  readInto(name: string, target: Uint8Array): void {
    const { begin, end } = this.#entry(name);
    if (target.length !== end - begin) {
      throw new RangeError(
        `safetensors: the target for "${name}" has the wrong size, ${target.length} bytes ` +
          `(${end - begin} needed). Allocate end - begin bytes.`,
      );
    }
    if (this.#descriptor === null) {
      throw new Error(`safetensors: ${this.path} is closed. Read before close().`);
    }
    readFully(this.#descriptor, target, begin);
  }

  /** Closes the file; closing twice is fine. */
  close(): void {
    if (this.#descriptor === null) return;
    closeSync(this.#descriptor);
    this.#descriptor = null;
  }

  /** Closes the file at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.close();
  }

  #entry(name: string): SafetensorsEntry {
    const entry = this.entries.get(name);
    if (entry !== undefined) return entry;
    throw new FormatError(
      "TensorNotFound",
      `safetensors: ${this.path} has no tensor "${name}". Its names are in entries.keys().`,
    );
  }
}

/** The length and the JSON, or as much of them as the file has; the parser judges the rest. */
function readHead(descriptor: number, fileBytes: number): Uint8Array {
  const length = new Uint8Array(Math.min(LENGTH_BYTES, fileBytes));
  readFully(descriptor, length, 0);
  if (length.length < LENGTH_BYTES) return length;
  const headerBytes = new DataView(length.buffer).getBigUint64(0, true);
  // A length that the file can't hold is refused by the parser; nothing is allocated for it.
  if (headerBytes > BigInt(fileBytes - LENGTH_BYTES)) return length;
  const head = new Uint8Array(LENGTH_BYTES + Number(headerBytes));
  readFully(descriptor, head, 0);
  return head;
}

/** Fills `target` from the file, starting at byte `position`. Throws when the file ends early. */
export function readFully(descriptor: number, target: Uint8Array, position: number): void {
  let done = 0;
  while (done < target.length) {
    const wanted = Math.min(READ_BYTES, target.length - done);
    const count = readSync(descriptor, target, done, wanted, position + done);
    if (count === 0) {
      throw new FormatError(
        "Truncated",
        `read: the file ends early, at byte ${position + done} ` +
          `(${position + target.length} needed). It changed while it was open; read it again.`,
      );
    }
    done += count;
  }
}

/**
 * Writes a safetensors file, tensor by tensor, so that no more than one chunk is held.
 *
 * The file appears under `path` whole or not at all: it's written beside it under a temporary
 * name, synced to the disk, then renamed. Tensors with larger elements come first, so that each
 * is aligned to its element size; otherwise the given order is kept.
 * Throws {@linkcode FormatError} when a tensor's chunks don't add up to its shape.
 *
 * @param metadata free-form text pairs for the header
 */
export function writeSafetensors(
  path: string,
  tensors: Iterable<SafetensorsInput>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  const sorted = [...tensors]
    .sort((a, b) => SAFETENSORS_BITS[b.dtype] - SAFETENSORS_BITS[a.dtype]);
  const header = encodeHeader(sorted, metadata);
  writeAtomically(path, (write) => {
    write(header);
    for (const tensor of sorted) {
      const expected = safetensorsBytes(tensor.name, tensor.dtype, tensor.shape);
      let written = 0;
      for (const chunk of tensor.chunks()) {
        write(chunk);
        written += chunk.length;
      }
      if (written !== expected) {
        throw new FormatError(
          "TensorInvalidInfo",
          `safetensors: the chunks of "${tensor.name}" do not fill its shape, ${tensor.dtype} ` +
            `[${tensor.shape}] (${expected} bytes needed, ${written} given). Give all of them.`,
        );
      }
    }
  });
}

function encodeHeader(
  tensors: readonly SafetensorsInput[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const header = new Map<string, unknown>();
  if (Object.keys(metadata).length > 0) header.set(METADATA_KEY, metadata);
  let begin = 0;
  for (const { name, dtype, shape } of tensors) {
    if (name === METADATA_KEY || header.has(name)) {
      throw new FormatError(
        "InvalidHeaderDeserialization",
        `safetensors: the name "${name}" cannot be used, or is used twice. Rename the tensor.`,
      );
    }
    const end = begin + safetensorsBytes(name, dtype, shape);
    header.set(name, { dtype, shape, data_offsets: [begin, end] });
    begin = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const padded = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(LENGTH_BYTES + padded).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(json, LENGTH_BYTES);
  return bytes;
}

/**
 * Writes a file so that `path` shows either its old content or all of the new one, also after a
 * crash: temporary name in the same folder, sync, rename. On an error the temporary file goes.
 */
export function writeAtomically(
  path: string,
  produce: (write: (bytes: Uint8Array) => void) => void,
): void {
  const temporary = join(dirname(path), `.${basename(path)}.${crypto.randomUUID()}.tmp`);
  const descriptor = openSync(temporary, "wx");
  try {
    try {
      produce((bytes) => {
        for (let done = 0; done < bytes.length;) {
          done += writeSync(descriptor, bytes, done, Math.min(READ_BYTES, bytes.length - done));
        }
      });
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** How {@linkcode writeShardedSafetensors} names and divides its files. */
export interface ShardOptions {
  /** The largest file, in bytes of tensor data; one tensor is never divided. Default 5e9. */
  readonly maxBytes?: number;
  /** Free-form text pairs for each header. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Writes `model.safetensors` into a folder, or when the tensors exceed `maxBytes`, the shards
 * `model-00001-of-00003.safetensors`… and `model.safetensors.index.json` (`weight_map` and
 * `metadata.total_size`), as Hugging Face libraries do. The index is written last.
 * Returns the names of the files written. Throws what {@linkcode writeSafetensors} throws.
 */
export function writeShardedSafetensors(
  folder: string,
  tensors: Iterable<SafetensorsInput>,
  options: ShardOptions = {},
): string[] {
  const { maxBytes = 5e9, metadata = {} } = options;
  if (!existsSync(folder)) mkdirSync(folder, { recursive: true });
  const shards: SafetensorsInput[][] = [];
  let room = 0;
  let total = 0;
  for (const tensor of tensors) {
    const bytes = safetensorsBytes(tensor.name, tensor.dtype, tensor.shape);
    if (shards.length === 0 || bytes > room) {
      shards.push([]);
      room = maxBytes;
    }
    shards.at(-1)!.push(tensor);
    room -= bytes;
    total += bytes;
  }
  if (shards.length <= 1) {
    writeSafetensors(join(folder, "model.safetensors"), shards[0] ?? [], metadata);
    return ["model.safetensors"];
  }

  const five = (n: number) => String(n).padStart(5, "0");
  const files = shards.map((_, i) => `model-${five(i + 1)}-of-${five(shards.length)}.safetensors`);
  const weightMap: Record<string, string> = {};
  shards.forEach((shard, i) => {
    writeSafetensors(join(folder, files[i]), shard, metadata);
    for (const { name } of shard) weightMap[name] = files[i];
  });
  const index = { metadata: { total_size: total }, weight_map: weightMap };
  const text = new TextEncoder().encode(JSON.stringify(index, null, 2) + "\n");
  writeAtomically(join(folder, INDEX_FILE), (write) => write(text));
  return [...files, INDEX_FILE];
}
