import { closeSync, fstatSync, openSync } from "node:fs";
import { FormatError, readFully } from "../../tensor/safetensors.ts";
import { type DecoderSpec, parameters } from "../spec.ts";
import { fromFloat32, Q8_BLOCK, type StoredDType, toFloat32 } from "./convert.ts";
import { type GgufHeader, type GgufTensor, type GgufValue, parseGguf } from "./gguf_format.ts";
import { ggufMetadata, ropeFactors, specFromGguf } from "./gguf_spec.ts";
import { type GgufInput, writeGguf } from "./gguf_writer.ts";
import { deinterleaveHeads, interleaveHeads, rotatedHeads } from "./rotary_order.ts";
import { checkEntries, type CheckpointEntry, type CheckpointSource } from "./source.ts";

/** Most headers fit into this; the vocabulary of a large one may need more. */
const HEAD_BYTES = 1 << 20;
const ROPE_FACTORS = "rope_freqs.weight";

/** What most matrices are, by llama.cpp's numbers. Source: `enum llama_ftype`. */
const FILE_TYPES: Readonly<Partial<Record<StoredDType, number>>> = {
  f32: 0,
  f16: 1,
  q8_0: 7,
  bf16: 32,
};
/** The block formats of today's ggml. */
const QUANTIZATION_VERSION = 2;

/** Our name of a part's layer, and GGUF's, inside one block. */
const LAYERS: Readonly<Record<string, string>> = {
  "attention.norm": "attn_norm",
  "attention.q": "attn_q",
  "attention.k": "attn_k",
  "attention.v": "attn_v",
  "attention.o": "attn_output",
  "attention.linear": "attn_output",
  "ffn.norm": "ffn_norm",
  "ffn.gate": "ffn_gate",
  "ffn.up": "ffn_up",
  "ffn.down": "ffn_down",
};
const OUTSIDE: Readonly<Record<string, string>> = {
  embedding: "token_embd",
  norm: "output_norm",
  head: "output",
};

/** The name of a parameter in a GGUF file of architecture `llama` or `deci`. */
export function toGgufName(name: string): string {
  const [, index, layer, kind] = /^blocks\.(\d+)\.(.+)\.(weight|bias)$/.exec(name) ?? [];
  if (index !== undefined) return `blk.${index}.${LAYERS[layer]}.${kind}`;
  return name.replace(/^\w+/, (module) => OUTSIDE[module]);
}

/** A checkpoint that is one GGUF file, with its metadata. */
export interface GgufCheckpoint extends CheckpointSource {
  /** Every metadata pair; the tokenizer's are under `tokenizer.ggml.` and `tokenizer.`. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
}

/**
 * Opens a GGUF file of a `llama` or `deci` model in F32, F16, BF16 or Q8_0. Query and key rows are
 * turned to rotate-half order as they are read.
 * Throws FormatError, SpecError or CheckpointError, before any tensor is read.
 */
export function openGguf(path: string): GgufCheckpoint {
  const descriptor = openSync(path, "r");
  try {
    const header = readHeader(descriptor, path);
    const readTensor = ({ begin, end }: GgufTensor) => {
      const bytes = new Uint8Array(end - begin);
      readFully(descriptor, bytes, begin);
      return bytes;
    };
    const factors = header.tensors.get(ROPE_FACTORS);
    const scaling = factors === undefined ? null : toFloat32(factors.dtype, readTensor(factors));
    const spec = specFromGguf(header, scaling);
    const entries = new Map<string, CheckpointEntry>();
    const ours = new Map(parameters(spec).map(({ name }) => [toGgufName(name), name]));
    for (const [name, tensor] of header.tensors) {
      if (name === ROPE_FACTORS) continue;
      // A tensor without a name of ours keeps its own, and the check below reports it.
      const our = ours.get(name) ?? name;
      const heads = rotatedHeads(our, spec);
      const { dtype, shape } = tensor;
      const read = () =>
        heads === null
          ? readTensor(tensor)
          : deinterleaveHeads(readTensor(tensor), heads, spec.headDim);
      entries.set(our, { dtype, shape, read });
    }
    checkEntries(spec, entries);
    let open = true;
    const close = () => {
      if (open) closeSync(descriptor);
      open = false;
    };
    return { spec, entries, files: [], metadata: header.metadata, [Symbol.dispose]: close };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** Reads as much of the file as the header needs. */
function readHeader(descriptor: number, path: string): GgufHeader {
  const fileBytes = fstatSync(descriptor).size;
  for (let size = HEAD_BYTES;; size *= 4) {
    const head = new Uint8Array(Math.min(size, fileBytes));
    readFully(descriptor, head, 0);
    try {
      return parseGguf(head, fileBytes);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      if (error.code === "Truncated" && size < fileBytes) continue;
      throw new FormatError(error.code, `${error.message} File: ${path}.`);
    }
  }
}

/** What {@linkcode writeGgufCheckpoint} writes besides the weights. */
export interface WriteGgufOptions {
  /**
   * How matrices are stored: as they are when absent. Norms and biases are always f32, and a
   * matrix whose rows don't divide into q8_0's blocks is stored as f16.
   */
  readonly dtype?: "f32" | "f16" | "bf16" | "q8_0";
  /** More metadata, such as the tokenizer's. */
  readonly metadata?: ReadonlyMap<string, GgufValue>;
}

/**
 * Writes a checkpoint as a GGUF file that llama.cpp reads: architecture `llama` or `deci`, query
 * and key rows interleaved, Llama 3's rotary scaling as `rope_freqs.weight`.
 * Throws FormatError for a spec that these architectures can't express.
 */
export function writeGgufCheckpoint(
  path: string,
  source: Pick<CheckpointSource, "spec" | "entries">,
  options: WriteGgufOptions = {},
): void {
  const { spec, entries } = source;
  checkEntries(spec, entries);
  const tensors = parameters(spec).map(({ name }) =>
    ggufInput(name, entries.get(name)!, spec, options.dtype)
  );
  const factors = ropeFactors(spec);
  if (factors !== null) {
    const read = () => fromFloat32("f32", factors);
    tensors.unshift({ name: ROPE_FACTORS, dtype: "f32", shape: [factors.length], read });
  }
  const stored = tensors.find(({ name }) => name === "token_embd.weight")!.dtype;
  const general: [string, GgufValue][] = [
    ["general.file_type", { type: "uint32", value: FILE_TYPES[stored] ?? 0 }],
    ["general.quantization_version", { type: "uint32", value: QUANTIZATION_VERSION }],
  ];
  const metadata = [...ggufMetadata(spec), ...general, ...options.metadata ?? []];
  writeGguf(path, new Map(metadata), tensors);
}

function ggufInput(
  name: string,
  entry: CheckpointEntry,
  spec: DecoderSpec,
  wanted: StoredDType | undefined,
): GgufInput {
  const { shape } = entry;
  const dtype = ggufDType(wanted ?? entry.dtype, shape);
  const heads = rotatedHeads(name, spec);
  const read = () => {
    const bytes = entry.read();
    const ordered = heads === null ? bytes : interleaveHeads(bytes, heads, spec.headDim);
    return dtype === entry.dtype ? ordered : fromFloat32(dtype, toFloat32(entry.dtype, ordered));
  };
  return { name: toGgufName(name), dtype, shape, read };
}

function ggufDType(wanted: StoredDType, shape: readonly number[]): StoredDType {
  if (shape.length < 2) return "f32";
  if (wanted === "q8_0" && shape[1] % Q8_BLOCK !== 0) return "f16";
  // llama.cpp computes with these only; f16 holds every 8-bit float exactly.
  if (wanted === "e4m3" || wanted === "e5m2") return "f16";
  return wanted === "f64" ? "f32" : wanted;
}
