import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import {
  FormatError,
  INDEX_FILE,
  type SafetensorsDType,
  SafetensorsFile,
  type SafetensorsInput,
  writeAtomically,
  writeShardedSafetensors,
} from "../../tensor/safetensors.ts";
import { type DecoderSpec, parameters } from "../spec.ts";
import { type HuggingFaceConfig, isObject } from "./config_reader.ts";
import type { StoredDType } from "./convert.ts";
import { type Architecture, fromHuggingFace, toHuggingFace } from "./huggingface_config.ts";
import { fromHuggingFaceName, toHuggingFaceName } from "./huggingface_names.ts";
import {
  checkEntries,
  type CheckpointEntry,
  CheckpointError,
  type CheckpointSource,
} from "./source.ts";

const CONFIG_FILE = "config.json";
const SINGLE_FILE = "model.safetensors";
/** Files that belong to a model besides its weights and its config. */
export const CARRIED_FILES: RegExp =
  /^(tokenizer.*|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt|chat_template\..*|generation_config\.json|LICENSE.*)$/;
/** Rotary tables that old Llama checkpoints hold; they are computed, not loaded. */
const COMPUTED = /\.rotary_emb\.inv_freq$/;

/** Our names of the dtypes that a safetensors file and a decoder share. */
const DTYPES: Readonly<Partial<Record<SafetensorsDType, StoredDType>>> = {
  F64: "f64",
  F32: "f32",
  F16: "f16",
  BF16: "bf16",
  F8_E4M3: "e4m3",
  F8_E5M2: "e5m2",
  I64: "i64",
  I32: "i32",
  I16: "i16",
  I8: "i8",
  U8: "u8",
  BOOL: "bool",
};

/** What a config calls the dtypes of weights; readers choose their memory by it. */
const TORCH_DTYPES: Readonly<Partial<Record<StoredDType, string>>> = {
  f32: "float32",
  f16: "float16",
  bf16: "bfloat16",
};

/** A checkpoint that is a Hugging Face folder, with its config as it was read. */
export interface HuggingFaceCheckpoint extends CheckpointSource {
  /** The parsed `config.json`. */
  readonly config: HuggingFaceConfig;
}

/**
 * Opens a Hugging Face folder: `config.json`, and `model.safetensors` or shards with their index.
 * The config is read and every tensor's name and shape checked before any tensor is read.
 * Throws {@linkcode CheckpointError}, FormatError or SpecError.
 */
export function openHuggingFace(folder: string): HuggingFaceCheckpoint {
  const config = readJson(join(folder, CONFIG_FILE));
  const spec = fromHuggingFace(config);
  const files = new Map<string, SafetensorsFile>();
  const close = () => files.values().forEach((file) => file.close());
  try {
    const entries = readEntries(folder, spec, files);
    checkEntries(spec, entries);
    const carried = readdirSync(folder).filter((name) => CARRIED_FILES.test(name)).sort();
    const paths = carried.map((name) => join(folder, name));
    return { spec, entries, config, files: paths, [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  }
}

function readJson(path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new CheckpointError(
      `checkpoint: ${path} cannot be read, ${(error as Error).message}. ` +
        `Give a folder that holds a Hugging Face model.`,
      { cause: error },
    );
  }
  if (isObject(value)) return value;
  throw new CheckpointError(`checkpoint: ${path} is not a JSON object. Download it again.`);
}

function readEntries(
  folder: string,
  spec: DecoderSpec,
  files: Map<string, SafetensorsFile>,
): Map<string, CheckpointEntry> {
  const entries = new Map<string, CheckpointEntry>();
  for (const [theirs, fileName] of locateTensors(folder, files)) {
    const file = files.get(fileName)!;
    const entry = file.entries.get(theirs);
    if (entry === undefined) {
      throw new CheckpointError(
        `checkpoint: ${INDEX_FILE} says that ${fileName} holds "${theirs}", which it does not. ` +
          `Download both again.`,
      );
    }
    const ours = fromHuggingFaceName(theirs) ?? theirs;
    // A tied head may be stored too; transformers ignores it as well.
    if (COMPUTED.test(theirs) || (spec.tied && ours === "head.weight")) continue;
    const dtype = DTYPES[entry.dtype];
    if (dtype === undefined) {
      throw new FormatError(
        "Unsupported",
        `checkpoint: "${theirs}" is stored as ${entry.dtype}, which is not supported. ` +
          `Convert the model to BF16 or F32.`,
      );
    }
    entries.set(ours, { dtype, shape: entry.shape, read: () => file.read(theirs) });
  }
  return entries;
}

/** The file of each tensor, by Hugging Face's names; opens every file once. */
function locateTensors(
  folder: string,
  files: Map<string, SafetensorsFile>,
): Iterable<[string, string]> {
  if (!existsSync(join(folder, INDEX_FILE))) {
    if (!existsSync(join(folder, SINGLE_FILE))) {
      throw new CheckpointError(
        `checkpoint: ${folder} has neither ${SINGLE_FILE} nor ${INDEX_FILE}. ` +
          `Convert its weights to safetensors.`,
      );
    }
    const file = SafetensorsFile.open(join(folder, SINGLE_FILE));
    files.set(SINGLE_FILE, file);
    return file.entries.keys().map((name) => [name, SINGLE_FILE]);
  }
  const map = readJson(join(folder, INDEX_FILE)).weight_map;
  const located = isObject(map) ? Object.entries(map) : [];
  for (const [tensor, name] of located) {
    // The name comes from a download: it may only be a file of this folder.
    if (typeof name !== "string" || basename(name) !== name || name.startsWith(".")) {
      throw new CheckpointError(
        `checkpoint: ${INDEX_FILE} gives "${tensor}" the file ${JSON.stringify(name)}, ` +
          `which is not a file name. Download it again.`,
      );
    }
    if (!files.has(name)) files.set(name, SafetensorsFile.open(join(folder, name)));
  }
  return located as [string, string][];
}

/** What {@linkcode writeHuggingFace} writes besides spec and tensors. */
export interface WriteHuggingFaceOptions {
  /** The config that the model came from: its other keys are kept. */
  readonly like?: HuggingFaceConfig;
  /** The config's format; by default the one that can express the spec. */
  readonly architecture?: Architecture;
  /** Paths of files to copy along, such as the tokenizer's; the source's own by default. */
  readonly files?: readonly string[];
  /** The largest safetensors file, in bytes. Default 5e9. */
  readonly maxShardBytes?: number;
}

/**
 * Writes a checkpoint as a Hugging Face folder, one tensor at a time. The folder appears whole: it
 * is written beside `folder` under a temporary name, then takes its place, replacing an older one.
 * Throws {@linkcode CheckpointError} when the tensors don't fit the spec, or a dtype has no place
 * in safetensors.
 */
export function writeHuggingFace(
  folder: string,
  source: Pick<CheckpointSource, "spec" | "entries"> & Partial<Pick<CheckpointSource, "files">>,
  options: WriteHuggingFaceOptions = {},
): void {
  const { spec, entries } = source;
  const { like, architecture, files = source.files ?? [], maxShardBytes } = options;
  checkEntries(spec, entries);
  const config = toHuggingFace(spec, {
    ...(like === undefined ? {} : { like }),
    ...(architecture === undefined ? {} : { architecture }),
  });
  const torchDType = TORCH_DTYPES[entries.get("embedding.weight")!.dtype];
  if (torchDType !== undefined) config["dtype" in config ? "dtype" : "torch_dtype"] = torchDType;
  const tensors = parameters(spec).map(({ name }) => safetensorsInput(name, entries.get(name)!));
  replaceFolder(folder, (temporary) => {
    const text = new TextEncoder().encode(JSON.stringify(config, null, 2) + "\n");
    writeAtomically(join(temporary, CONFIG_FILE), (write) => write(text));
    for (const file of files) copyFileSync(file, join(temporary, basename(file)));
    writeShardedSafetensors(temporary, tensors, {
      metadata: { format: "pt" },
      ...(maxShardBytes === undefined ? {} : { maxBytes: maxShardBytes }),
    });
  });
}

function safetensorsInput(ours: string, entry: CheckpointEntry): SafetensorsInput {
  const names = Object.keys(DTYPES) as SafetensorsDType[];
  const dtype = names.find((name) => DTYPES[name] === entry.dtype);
  const name = toHuggingFaceName(ours);
  if (dtype === undefined || name === null) {
    throw new CheckpointError(
      `checkpoint: safetensors cannot hold ${ours} as ${entry.dtype}. Convert it to bf16 or f32.`,
    );
  }
  return { name, dtype, shape: entry.shape, chunks: () => [entry.read()] };
}

/** Fills a temporary folder, then puts it in the place of `folder`. */
function replaceFolder(folder: string, fill: (temporary: string) => void): void {
  const target = resolve(folder);
  refuseOtherFolder(target);
  const beside = join(dirname(target), `.${basename(target)}.${crypto.randomUUID()}`);
  const [temporary, old] = [`${beside}.tmp`, `${beside}.old`];
  mkdirSync(temporary, { recursive: true });
  try {
    fill(temporary);
    // A folder can't be renamed over one that has files, so the old one steps aside first.
    if (existsSync(target)) renameSync(target, old);
    try {
      renameSync(temporary, target);
    } catch (error) {
      if (existsSync(old)) renameSync(old, target);
      throw error;
    }
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
  rmSync(old, { recursive: true, force: true });
}

/** Replacing removes what was there, so only a model or an empty folder is replaced. */
function refuseOtherFolder(target: string): void {
  if (!existsSync(target) || existsSync(join(target, CONFIG_FILE))) return;
  if (isFolder(target) && readdirSync(target).length === 0) return;
  throw new CheckpointError(
    `checkpoint: ${target} exists and is not a model, it has no ${CONFIG_FILE}. ` +
      `Give a new folder.`,
  );
}

/** Whether a path is a folder. */
export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
