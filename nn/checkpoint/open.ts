import { closeSync, existsSync, fstatSync, openSync } from "node:fs";
import { readFully } from "../../tensor/safetensors.ts";
import { openGguf } from "./gguf.ts";
import { GGUF_MAGIC } from "./gguf_format.ts";
import { isFolder, openHuggingFace } from "./huggingface.ts";
import { openLlama2c } from "./llama2c.ts";
import { CheckpointError, type CheckpointSource } from "./source.ts";

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
  if (/(^|[\\/])config\.json$/.test(path)) {
    return openHuggingFace(path.replace(/config\.json$/, "."));
  }
  if (startsAsGguf(path)) return openGguf(path);
  if (path.endsWith(".bin")) return openLlama2c(path);
  const fix = path.endsWith(".safetensors")
    ? "Give the folder that holds it and its config.json."
    : "Give a Hugging Face folder, a .gguf file or a llama2.c .bin file.";
  throw new CheckpointError(`checkpoint: ${path} is not a checkpoint by itself. ${fix}`);
}

function startsAsGguf(path: string): boolean {
  const descriptor = openSync(path, "r");
  try {
    const start = new Uint8Array(Math.min(4, fstatSync(descriptor).size));
    readFully(descriptor, start, 0);
    return start.length === 4 && new DataView(start.buffer).getUint32(0, true) === GGUF_MAGIC;
  } finally {
    closeSync(descriptor);
  }
}
