/**
 * Finding out which tokenizer a file or folder holds, and reading it.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { TokenizerFormatError } from "./errors.ts";
import { readHuggingFace, withConfiguredEnds } from "./hugging_face.ts";
import { type JsonObject, specialIdsOf, templateOf } from "./hugging_face_config.ts";
import { readLlama2c } from "./llama2c.ts";
import type { LoadedTokenizer } from "./model.ts";
import { readSentencePiece } from "./sentencepiece_file.ts";
import { readTiktoken, type TiktokenOptions } from "./tiktoken.ts";
import { decodeUtf8 } from "./utf8.ts";

/** What the files themselves do not say. */
export interface TokenizerOptions {
  /** For tiktoken-format files; the default is Llama 3.1. */
  readonly tiktoken?: TiktokenOptions;
}

/** Names looked for in a folder, the most complete description first. */
const tokenizerFiles = ["tokenizer.json", "tokenizer.model", "tokenizer.bin"];

const sideFiles = [
  "tokenizer_config.json",
  "generation_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
];

/** Reads a tokenizer from a file, or from a folder that holds one. */
export async function readTokenizer(
  path: string,
  options: TokenizerOptions = {},
): Promise<LoadedTokenizer> {
  const isFolder = (await Deno.stat(path)).isDirectory;
  const folder = isFolder ? path : dirname(path);
  const candidates = isFolder ? tokenizerFiles.map((name) => join(path, name)) : [path];
  for (const file of candidates) {
    const bytes = await readIfPresent(file);
    if (bytes === undefined) continue;
    const side = await readSideFiles(folder);
    const loaded = file.endsWith(".json")
      ? fromJson(bytes, side)
      : withSideFiles(readBinary(file, bytes, options), side);
    return { ...loaded, files: new Map([...loaded.files, ...side]) };
  }
  throw new TokenizerFormatError(
    `load: ${path} holds no tokenizer (looked for ${tokenizerFiles.join(", ")}). ` +
      "Give the path of the file itself.",
  );
}

async function readIfPresent(path: string): Promise<Uint8Array | undefined> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function readSideFiles(folder: string): Promise<Map<string, Uint8Array>> {
  const side = new Map<string, Uint8Array>();
  for (const name of sideFiles) {
    const bytes = await readIfPresent(join(folder, name));
    if (bytes !== undefined) side.set(name, bytes);
  }
  return side;
}

function fromJson(bytes: Uint8Array, side: ReadonlyMap<string, Uint8Array>): LoadedTokenizer {
  const config = parse("tokenizer_config.json", side);
  const generation = parse("generation_config.json", side);
  const template = side.get("chat_template.jinja");
  const loaded = readHuggingFace({
    tokenizer: parseObject("tokenizer.json", bytes),
    ...(config === undefined ? {} : { config }),
    ...(generation === undefined ? {} : { generation }),
    ...(template === undefined ? {} : { chatTemplate: decodeUtf8(template) }),
  });
  return { ...loaded, files: new Map([["tokenizer.json", bytes]]) };
}

function readBinary(file: string, bytes: Uint8Array, options: TokenizerOptions): LoadedTokenizer {
  if (file.endsWith(".bin")) return readLlama2c(bytes);
  // Llama 3 gives its tiktoken ranks the name that SentencePiece models have.
  const isText = /^[A-Za-z0-9+/]+=* \d+\r?\n/.test(decodeUtf8(bytes.subarray(0, 1024)));
  return isText ? readTiktoken(bytes, options.tiktoken) : readSentencePiece(bytes);
}

/** A chat template and more ends of turn may lie next to a binary vocabulary. */
function withSideFiles(
  loaded: LoadedTokenizer,
  side: ReadonlyMap<string, Uint8Array>,
): LoadedTokenizer {
  const config = parse("tokenizer_config.json", side) ?? {};
  const generation = parse("generation_config.json", side) ?? {};
  const named = specialIdsOf(
    (token) => {
      const id = loaded.model.tokens.indexOf(token);
      return id < 0 ? undefined : id;
    },
    config,
    generation,
  );
  const file = side.get("chat_template.jinja");
  const chatTemplate = file !== undefined ? decodeUtf8(file) : templateOf(config.chat_template);
  const special = {
    ...loaded.special,
    eos: [...new Set([...loaded.special.eos, ...named.eos])],
  };
  return {
    ...loaded,
    model: withConfiguredEnds(loaded.model, special, config),
    special,
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  };
}

function parse(name: string, side: ReadonlyMap<string, Uint8Array>): JsonObject | undefined {
  const bytes = side.get(name);
  return bytes === undefined ? undefined : parseObject(name, bytes);
}

function parseObject(name: string, bytes: Uint8Array): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(decodeUtf8(bytes));
  } catch (error) {
    throw new TokenizerFormatError(
      `${name}: it is not JSON, ${(error as Error).message}. Copy the file again, whole.`,
    );
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TokenizerFormatError(`${name}: it is not a JSON object. Copy the file again, whole.`);
  }
  return value as JsonObject;
}
