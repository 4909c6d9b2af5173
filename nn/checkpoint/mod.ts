/**
 * Checkpoints: Hugging Face folders, GGUF files and llama2.c files behind one interface, and
 * downloads from a hub.
 *
 * @module
 */

export { fromFloat32, storedBytes, type StoredDType, toFloat32 } from "./convert.ts";
export type { HuggingFaceConfig } from "./config_reader.ts";
export {
  type GgufCheckpoint,
  openGguf,
  writeGgufCheckpoint,
  type WriteGgufOptions,
} from "./gguf.ts";
export {
  GGUF_TYPES,
  type GgufHeader,
  type GgufScalar,
  type GgufScalarType,
  type GgufTensor,
  type GgufValue,
  parseGguf,
} from "./gguf_format.ts";
export { type GgufInput, writeGguf } from "./gguf_writer.ts";
export {
  DownloadError,
  downloadModel,
  type DownloadOptions,
  type DownloadProgress,
} from "./hub.ts";
export {
  type HuggingFaceCheckpoint,
  openHuggingFace,
  writeHuggingFace,
  type WriteHuggingFaceOptions,
} from "./huggingface.ts";
export {
  type Architecture,
  architectureOf,
  fromHuggingFace,
  toHuggingFace,
  type ToHuggingFaceOptions,
} from "./huggingface_config.ts";
export { fromHuggingFaceName, toHuggingFaceName } from "./huggingface_names.ts";
export { layoutLlama2c, type Llama2cLayout, type Llama2cTensor, openLlama2c } from "./llama2c.ts";
export { openCheckpoint } from "./open.ts";
export {
  castEntries,
  checkEntries,
  type CheckpointEntry,
  CheckpointError,
  type CheckpointSource,
} from "./source.ts";
