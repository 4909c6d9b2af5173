/**
 * Bits of one element of every dtype that the safetensors format knows.
 * Source: the `Dtype` enum of huggingface/safetensors.
 */
export const SAFETENSORS_BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

/** A dtype as a safetensors header spells it, such as `"BF16"`. */
export type SafetensorsDType = keyof typeof SAFETENSORS_BITS;

/** Where one tensor lies: `begin` and `end` are byte offsets from the start of the file. */
export interface SafetensorsEntry {
  /** What the bytes hold. */
  readonly dtype: SafetensorsDType;
  /** Sizes of the axes. */
  readonly shape: readonly number[];
  /** Byte offset of its first byte in the file. */
  readonly begin: number;
  /** Byte offset after its last byte. */
  readonly end: number;
}

/** A parsed header: its tensors in file order, and its free-form text pairs. */
export interface SafetensorsHeader {
  /** Tensors by name, in file order. */
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
  /** Free-form text pairs. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** What {@linkcode FormatError} found wrong; the safetensors ones carry the reference library's names. */
export type FormatErrorCode =
  | "HeaderTooSmall"
  | "HeaderTooLarge"
  | "InvalidHeaderLength"
  | "InvalidHeader"
  | "InvalidHeaderDeserialization"
  | "InvalidOffset"
  | "MisalignedSlice"
  | "TensorInvalidInfo"
  | "TensorNotFound"
  | "ValidationOverflow"
  | "MetadataIncompleteBuffer"
  | "Truncated"
  | "Invalid"
  | "Unsupported";

/** Thrown when bytes don't follow the file format they claim; `code` says which rule they break. */
export class FormatError extends Error {
  /** The class's name. */
  override readonly name = "FormatError";
  /** The rule that the file breaks. */
  readonly code: FormatErrorCode;

  /** Describes the rule that the file breaks. */
  constructor(code: FormatErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The reference library refuses longer headers, so a file with one could not be shared. */
const MAX_HEADER_BYTES = 100_000_000;
/** Bytes of the header length that opens every file. */
export const LENGTH_BYTES = 8;
/** The header key of the free-form text pairs; no tensor can have this name. */
export const METADATA_KEY = "__metadata__";

/**
 * Reads a safetensors header and checks it against the length of the file, before anything else
 * is read: `head` starts at the file's first byte and holds at least the header.
 *
 * Format: a u64 (little-endian) header length, the header as UTF-8 JSON
 * `{name: {dtype, shape, data_offsets}}`, then the tensors' bytes without holes or overlaps.
 * Throws {@linkcode FormatError}. Source: huggingface/safetensors, `tensor.rs`.
 *
 * @example
 * ```ts
 * import { parseSafetensorsHeader } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * const json = '{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';
 * const head = new Uint8Array([json.length, 0, 0, 0, 0, 0, 0, 0, ...new TextEncoder().encode(json)]);
 * const { entries } = parseSafetensorsHeader(head, head.length + 8);
 * assert.deepEqual(entries.get("x")?.shape, [2]);
 * ```
 */
export function parseSafetensorsHeader(head: Uint8Array, fileBytes: number): SafetensorsHeader {
  const length = headerLength(head, fileBytes);
  const json = parseHeaderJson(head.subarray(LENGTH_BYTES, LENGTH_BYTES + length));
  const metadata = parseMetadata(json.get(METADATA_KEY));
  const dataStart = LENGTH_BYTES + length;
  const listed = [...json]
    .filter(([name]) => name !== METADATA_KEY)
    .map(([name, info]) => ({ name, ...parseInfo(name, info) }))
    // Headers may list tensors in any order; zero-sized ones come before the tensor they touch.
    .sort((a, b) => a.begin - b.begin || a.end - b.end);

  const entries = new Map<string, SafetensorsEntry>();
  let expected = 0;
  for (const { name, dtype, shape, begin, end } of listed) {
    if (begin !== expected || end < begin) {
      throw new FormatError(
        "InvalidOffset",
        `safetensors: tensor "${name}" leaves a hole or overlaps, it starts at ${begin} ` +
          `(expected ${expected}). Save the file again.`,
      );
    }
    const bytes = safetensorsBytes(name, dtype, shape);
    if (end - begin !== bytes) {
      throw new FormatError(
        "TensorInvalidInfo",
        `safetensors: tensor "${name}" has the wrong size, ${dtype} [${shape}] over bytes ` +
          `${begin} to ${end} (${bytes} needed, ${end - begin} given). Save the file again.`,
      );
    }
    entries.set(name, { dtype, shape, begin: dataStart + begin, end: dataStart + end });
    expected = end;
  }
  if (dataStart + expected !== fileBytes) {
    throw new FormatError(
      "MetadataIncompleteBuffer",
      `safetensors: the header does not cover the file, ${dataStart + expected} bytes described ` +
        `(the file has ${fileBytes}). The file is cut off or has bytes added; download it again.`,
    );
  }
  return { entries, metadata };
}

function headerLength(head: Uint8Array, fileBytes: number): number {
  if (fileBytes < LENGTH_BYTES || head.length < LENGTH_BYTES) {
    throw new FormatError(
      "HeaderTooSmall",
      `safetensors: the file is too short for a header length, ${fileBytes} bytes ` +
        `(${LENGTH_BYTES} needed). Download it again.`,
    );
  }
  const length = new DataView(head.buffer, head.byteOffset).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw new FormatError(
      "HeaderTooLarge",
      `safetensors: the header is too long, ${length} bytes (at most ${MAX_HEADER_BYTES}). ` +
        `This is not a safetensors file, or it is damaged.`,
    );
  }
  if (LENGTH_BYTES + Number(length) > Math.min(fileBytes, head.length)) {
    throw new FormatError(
      "InvalidHeaderLength",
      `safetensors: the header is longer than the file, ${length} bytes after byte ` +
        `${LENGTH_BYTES} (the file has ${fileBytes}). Download it again.`,
    );
  }
  return Number(length);
}

function parseHeaderJson(bytes: Uint8Array): Map<string, unknown> {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new FormatError("InvalidHeader", "safetensors: the header is not UTF-8. Save it again.");
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw invalidHeader(`is not JSON (${(error as Error).message})`);
  }
  if (!isObject(json)) throw invalidHeader("is not a JSON object");
  checkHeaderText(text);
  return new Map(Object.entries(json));
}

/**
 * Refuses what JSON.parse lets pass silently: repeated keys (the last one would win) and numbers
 * that aren't written as naturals (2.0, -0, 1e3). The text is known to be valid JSON.
 */
function checkHeaderText(text: string): void {
  const objects: (Set<string> | null)[] = [];
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "{") objects.push(new Set());
    else if (character === "[") objects.push(null);
    else if (character === "}" || character === "]") objects.pop();
    else if (character === '"') {
      const start = at;
      at = closingQuote(text, start);
      let after = at + 1;
      while (/\s/.test(text[after] ?? "")) after++;
      if (text[after] !== ":") continue;
      const key: string = JSON.parse(text.slice(start, at + 1));
      const keys = objects.at(-1)!;
      if (keys!.has(key)) throw invalidHeader(`has the key ${JSON.stringify(key)} twice`);
      keys!.add(key);
    } else if (/[-.]/.test(character) || (/[eE]/.test(character) && /\d/.test(text[at - 1]))) {
      throw invalidHeader(`holds a number that is not a natural one, at character ${at}`);
    }
  }
}

function closingQuote(text: string, open: number): number {
  let at = open + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at;
}

function parseMetadata(value: unknown): Map<string, string> {
  if (value === undefined || value === null) return new Map();
  if (!isObject(value)) throw invalidHeader(`has a ${METADATA_KEY} that is not an object`);
  const metadata = new Map<string, string>();
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") {
      throw invalidHeader(`has ${METADATA_KEY}["${key}"], which is not a string`);
    }
    metadata.set(key, text);
  }
  return metadata;
}

function parseInfo(name: string, value: unknown): SafetensorsEntry {
  if (!isObject(value)) throw invalidHeader(`describes "${name}" by something not an object`);
  const { dtype, shape, data_offsets: offsets, ...others } = value;
  const [surplus] = Object.keys(others);
  if (surplus !== undefined) throw invalidHeader(`has an unknown field "${surplus}" in "${name}"`);
  if (typeof dtype !== "string" || !Object.hasOwn(SAFETENSORS_BITS, dtype)) {
    throw invalidHeader(`gives "${name}" the unknown dtype ${JSON.stringify(dtype)}`);
  }
  if (!isNumbers(shape)) {
    throw invalidHeader(`gives "${name}" a shape that is not a list of numbers`);
  }
  if (!isNumbers(offsets) || offsets.length !== 2 || !offsets.every(Number.isSafeInteger)) {
    throw invalidHeader(`gives "${name}" data_offsets that are not two numbers below 2^53`);
  }
  return { dtype: dtype as SafetensorsDType, shape, begin: offsets[0], end: offsets[1] };
}

/**
 * Bytes of a tensor. Throws {@linkcode FormatError} when they are not whole or not countable;
 * the name is only for the message.
 */
export function safetensorsBytes(
  name: string,
  dtype: SafetensorsDType,
  shape: readonly number[],
): number {
  let bits = SAFETENSORS_BITS[dtype] as number;
  for (const size of shape) {
    bits *= size;
    // An unsafe size is too large whatever follows, also when a later 0 would hide it.
    if (!Number.isSafeInteger(size) || !Number.isSafeInteger(bits)) {
      throw new FormatError(
        "ValidationOverflow",
        `safetensors: tensor "${name}" is too large, ${dtype} [${shape}] (2^53 bits at most). ` +
          `The file is damaged.`,
      );
    }
  }
  if (bits % 8 !== 0) {
    throw new FormatError(
      "MisalignedSlice",
      `safetensors: tensor "${name}" does not fill whole bytes, ${dtype} [${shape}] ` +
        `(${bits} bits). Pad its last axis.`,
    );
  }
  return bits / 8;
}

function invalidHeader(what: string): FormatError {
  return new FormatError(
    "InvalidHeaderDeserialization",
    `safetensors: the header ${what}. Save the file again with a current library.`,
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => typeof item === "number");
}
