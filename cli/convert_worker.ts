/**
 * Writes a converted checkpoint in a thread of its own, so that the program can listen to Ctrl-C meanwhile.
 *
 * @module
 */
import {
  castEntries,
  type GgufValue,
  type HuggingFaceConfig,
  openCheckpoint,
  writeGgufCheckpoint,
  writeHuggingFace,
} from "../nn/mod.ts";
import { watchReads } from "./watch.ts";

/** What is to be written. */
export interface ConversionJob {
  /** The checkpoint to read. */
  readonly from: string;
  /** The folder or file to write; it does not exist yet. */
  readonly to: string;
  readonly format: "hf" | "gguf";
  /** How weights are stored; null for as they are. */
  readonly dtype: "f32" | "f16" | "bf16" | "q8_0" | null;
  /** The largest safetensors file. */
  readonly maxShardBytes: number | null;
  /** Files to copy into a Hugging Face folder. */
  readonly files: readonly string[];
  /** More metadata of a GGUF file, such as the tokenizer's. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** Set to 1 from outside to give up before the next tensor. */
  readonly stop: Int32Array<SharedArrayBuffer>;
}

/** What the thread says: bytes read of how many, that it is done, or what went wrong. */
export type ConversionMessage =
  | {
    readonly kind: "progress";
    readonly bytes: number;
    readonly total: number;
    readonly name: string;
  }
  | { readonly kind: "done" }
  | { readonly kind: "error"; readonly error: Error; readonly name: string };

/** Weights are read, converted and written one at a time. */
function convert(job: ConversionJob, say: (message: ConversionMessage) => void): void {
  using source = openCheckpoint(job.from);
  const { spec } = source;
  const watched = watchReads(
    source.entries,
    (bytes, total, name) => {
      // What has been written is then removed by whoever was writing it.
      if (Atomics.load(job.stop, 0) === 1) throw new DOMException("stopped", "AbortError");
      say({ kind: "progress", bytes, total, name });
    },
  );
  const { dtype, maxShardBytes, files, metadata } = job;
  if (job.format === "gguf") {
    const options = { metadata, ...(dtype === null ? {} : { dtype }) };
    writeGgufCheckpoint(job.to, { spec, entries: watched }, options);
  } else {
    const entries = dtype === null ? watched : castEntries(watched, dtype);
    const config = "config" in source ? { like: source.config as HuggingFaceConfig } : {};
    const shards = maxShardBytes === null ? {} : { maxShardBytes };
    writeHuggingFace(job.to, { spec, entries }, { files, ...config, ...shards });
  }
}

/** What is used of a thread's global scope: its own types would be those of every file of the package. */
interface ThreadScope {
  onmessage: (event: MessageEvent<ConversionJob>) => void;
  postMessage(message: ConversionMessage): void;
}
const threadScope = globalThis as unknown as ThreadScope;

threadScope.onmessage = ({ data }) => {
  const say = (message: ConversionMessage): void => threadScope.postMessage(message);
  try {
    convert(data, say);
    say({ kind: "done" });
  } catch (error) {
    // A copied error forgets its class.
    say({ kind: "error", error: error as Error, name: (error as Error).name });
  }
};
