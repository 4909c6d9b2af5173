import { closeSync, existsSync, fstatSync, openSync } from "node:fs";
import { basename, dirname } from "node:path";
import { readFully } from "../../tensor/safetensors.ts";
import { openGguf } from "./gguf.ts";
import { GGUF_MAGIC } from "./gguf_format.ts";
import { isFolder, openHuggingFace } from "./huggingface.ts";
import { openLlama2c } from "./llama2c.ts";
import { CheckpointError, type CheckpointSource } from "./source.ts";

/** A zip archive, which PyTorch's `.bin` files are. */
const ZIP_MAGIC = 0x04034b50;

/**
 * Opens a checkpoint of any supported format by what the path is: a Hugging Face folder (or its
 * `config.json`), a GGUF file, or a llama2.c `.bin` file. Nothing but headers is read yet.
 * Throws {@linkcode CheckpointError} when it's none of them, and what the format's reader throws.
 */
export function openCheckpoint(path: string): CheckpointSource {
  if (!existsSync(path)) {
    throw new CheckpointError(`checkpoint: ${path} does not exist. Check the path.`);
  }
  if (isFolder(path)) return openHuggingFace(path);
  if (basename(path) === "config.json") return openHuggingFace(dirname(path));
  const magic = firstWord(path);
  if (magic === GGUF_MAGIC) return openGguf(path);
  if (path.endsWith(".bin") && magic !== ZIP_MAGIC) return openLlama2c(path);
  const fix = path.endsWith(".safetensors")
    ? "Give the folder that holds it and its config.json."
    : magic === ZIP_MAGIC
    ? "Convert PyTorch's file to safetensors."
    : "Give a Hugging Face folder, a .gguf file or a llama2.c .bin file.";
  throw new CheckpointError(`checkpoint: ${path} is not a checkpoint by itself. ${fix}`);
}

/** The file's first four bytes as a little-endian number; null when it's shorter. */
function firstWord(path: string): number | null {
  const descriptor = openSync(path, "r");
  try {
    const start = new Uint8Array(Math.min(4, fstatSync(descriptor).size));
    readFully(descriptor, start, 0);
    return start.length === 4 ? new DataView(start.buffer).getUint32(0, true) : null;
  } finally {
    closeSync(descriptor);
  }
}
