import { closeSync, fstatSync, openSync } from "node:fs";
import { FormatError, readFully } from "../../tensor/safetensors.ts";
import { type BlockSpec, type DecoderSpec, refuseBlockCount, validateSpec } from "../spec.ts";
import { deinterleaveHeads, rotatedHeads } from "./rotary_order.ts";
import { checkEntries, type CheckpointEntry, type CheckpointSource } from "./source.ts";

/** Bytes of the header: seven 32-bit integers. */
export const LLAMA2C_HEADER_BYTES = 28;
/** "ak42": the newer versions of the format start with it. */
const NEWER_MAGIC = 0x616b3432;

/** One tensor of a llama2.c file: `begin` and `end` are byte offsets. */
export interface Llama2cTensor {
  /** Sizes of the axes, [out, in]. */
  readonly shape: readonly number[];
  /** Byte offset of its first byte in the file. */
  readonly begin: number;
  /** Byte offset after its last byte. */
  readonly end: number;
}

/** What a llama2.c header says: the decoder, and where each parameter lies, as f32. */
export interface Llama2cLayout {
  /** The decoder that the header describes. */
  readonly spec: DecoderSpec;
  /** By our names, in file order. */
  readonly tensors: ReadonlyMap<string, Llama2cTensor>;
}

/**
 * Lays out a llama2.c checkpoint of the first version (f32): seven i32 (dim, hidden, layers, heads,
 * KV heads, vocabulary, context), where a negative vocabulary means an untied head, then each kind
 * of weight for all layers in turn. The unused rotary tables after the last norm are skipped.
 * Throws FormatError or SpecError. Source: `legacy_export` in llama2.c's export.py.
 *
 * @param head the file's first 28 bytes
 * @param fileBytes the length of the file, in bytes
 */
export function layoutLlama2c(head: Uint8Array, fileBytes: number): Llama2cLayout {
  if (head.length < LLAMA2C_HEADER_BYTES) {
    throw new FormatError(
      "HeaderTooSmall",
      `llama2c: the file is too short, ${head.length} bytes (${LLAMA2C_HEADER_BYTES} needed). ` +
        `Download it again.`,
    );
  }
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  if (view.getUint32(0, true) === NEWER_MAGIC) {
    throw new FormatError(
      "Unsupported",
      `llama2c: the file has version ${view.getInt32(4, true)}, only version 0 is read. ` +
        `Export it again with --version 0.`,
    );
  }
  const [dim, hidden, layers, heads, kvHeads, vocab, context] = Array.from(
    { length: 7 },
    (_, i) => view.getInt32(4 * i, true),
  );
  refuseBlockCount("layers", layers);
  const block: BlockSpec = {
    attention: { kind: "gqa", heads, kvHeads },
    ffn: { kind: "gated", hidden, activation: "silu" },
  };
  const spec: DecoderSpec = {
    vocab: Math.abs(vocab),
    dim,
    context,
    headDim: dim / heads,
    norm: { kind: "rms_norm", eps: 1e-5 },
    rope: { theta: 10_000, fraction: 1, scaling: null },
    tied: vocab > 0,
    blocks: Array.from({ length: layers }, () => block),
  };
  validateSpec(spec);
  return { spec, tensors: placeTensors(spec, hidden, kvHeads * spec.headDim, fileBytes) };
}

function placeTensors(
  { vocab, dim, context, headDim, tied, blocks }: DecoderSpec,
  hidden: number,
  kv: number,
  fileBytes: number,
): Map<string, Llama2cTensor> {
  const tensors = new Map<string, Llama2cTensor>();
  let end = LLAMA2C_HEADER_BYTES;
  const place = (name: string, ...shape: number[]) => {
    const begin = end;
    end += 4 * shape.reduce((a, b) => a * b, 1);
    tensors.set(name, { shape, begin, end });
  };
  const placeAll = (name: string, ...shape: number[]) =>
    blocks.forEach((_, i) => place(`blocks.${i}.${name}`, ...shape));
  place("embedding.weight", vocab, dim);
  placeAll("attention.norm.weight", dim);
  placeAll("attention.q.weight", dim, dim);
  placeAll("attention.k.weight", kv, dim);
  placeAll("attention.v.weight", kv, dim);
  placeAll("attention.o.weight", dim, dim);
  placeAll("ffn.norm.weight", dim);
  placeAll("ffn.gate.weight", hidden, dim);
  placeAll("ffn.down.weight", dim, hidden);
  placeAll("ffn.up.weight", hidden, dim);
  place("norm.weight", dim);
  // Two tables [context, headDim / 2], cosines and sines, which the program computes itself.
  end += 4 * context * headDim;
  if (!tied) place("head.weight", vocab, dim);
  if (end !== fileBytes) {
    throw new FormatError(
      "MetadataIncompleteBuffer",
      `llama2c: the header does not describe the file, ${end} bytes described (the file has ` +
        `${fileBytes}). It is cut off, or not a version 0 checkpoint.`,
    );
  }
  return tensors;
}

/**
 * Opens a llama2.c checkpoint. Query and key rows are turned to rotate-half order as they are read.
 * Throws FormatError or SpecError, before any tensor is read.
 */
export function openLlama2c(path: string): CheckpointSource {
  const descriptor = openSync(path, "r");
  try {
    const fileBytes = fstatSync(descriptor).size;
    const head = new Uint8Array(Math.min(LLAMA2C_HEADER_BYTES, fileBytes));
    readFully(descriptor, head, 0);
    const { spec, tensors } = layoutLlama2c(head, fileBytes);
    const entries = new Map<string, CheckpointEntry>();
    for (const [name, { shape, begin, end }] of tensors) {
      const heads = rotatedHeads(name, spec);
      const read = () => {
        const bytes = new Uint8Array(end - begin);
        readFully(descriptor, bytes, begin);
        return heads === null ? bytes : deinterleaveHeads(bytes, heads, spec.headDim);
      };
      entries.set(name, { dtype: "f32", shape, read });
    }
    checkEntries(spec, entries);
    let open = true;
    const close = () => {
      if (open) closeSync(descriptor);
      open = false;
    };
    return { spec, entries, files: [], [Symbol.dispose]: close };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}
