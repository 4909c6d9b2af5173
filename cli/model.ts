/**
 * Finding a model and its tokenizer by what the user calls them.
 *
 * @module
 */
import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { type CheckpointSource, Decoder, openCheckpoint } from "../nn/mod.ts";
import { bytesOf, device } from "../tensor/mod.ts";
import { Tokenizer } from "../text/mod.ts";
import { newestModel } from "../train/runs/run.ts";
import { UsageError } from "./errors.ts";
import { vocabularyOfGguf } from "./gguf_vocabulary.ts";
import { locateModel } from "./locate.ts";
import { choice, integer, type Option, path, text, userPath, type Values } from "./options.ts";
import { Progress } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import { watchReads } from "./watch.ts";

/** What `--model` takes. */
export const modelHelp =
  "A Hugging Face folder, a .gguf or llama2.c .bin file, or a hub name as org/name";
/** What `--tokenizer` takes. */
export const tokenizerHelp =
  "A tokenizer.json, tokenizer.model or tok*.bin, where the model carries none";

/** Which model to run, and how. */
export interface ModelOptions {
  readonly model: Option<string>;
  readonly tokenizer: Option<string | undefined>;
  readonly dtype: Option<"f32" | "bf16" | undefined>;
  readonly threads: Option<number | undefined>;
}

/** A model; that of the newest finished run where none is given. */
const modelOrNewest: Option<string> = {
  ...text("MODEL", `${modelHelp} (default: the newest finished run's)`),
  read(given) {
    const model = given.at(-1) ?? newestModel(userPath("runs"));
    if (model !== null) return model;
    throw new UsageError(`is missing. Give it a MODEL, or train one with deno task train`);
  },
};

/** Options of every command that runs a model. */
export const modelOptions: ModelOptions = {
  model: modelOrNewest,
  tokenizer: path("FILE", tokenizerHelp),
  dtype: choice(["f32", "bf16"], "What to compute in (default: bf16 for bf16 weights, else f32)"),
  threads: integer("N", "CPU threads (default: all)", { min: 1, max: 256, fallback: undefined }),
};

/** A model that is ready to run. */
export interface OpenModel extends Disposable {
  /** As the user called it. */
  readonly name: string;
  readonly decoder: Decoder;
  readonly tokenizer: Tokenizer;
}

const tokenizerFile = /^(tokenizer\.(json|model)|tok.*\.(model|bin)|.*\.model)$/;
/** Loading less than this is over before anyone could read a line about it. */
const longLoadBytes = 256e6;

/** Opens a model and its tokenizer. Throws what they throw; nothing stays open then. */
export async function openModel(
  choice: Values<ModelOptions>,
  terminal: Terminal,
): Promise<OpenModel> {
  const place = await locateModel(choice.model, terminal);
  using source = openCheckpoint(place);
  const tokenizer = await openTokenizer(place, source, choice.tokenizer);
  if (choice.threads !== undefined) device().threads = choice.threads;
  const stored = source.entries.get("embedding.weight")?.dtype;
  const dtype = choice.dtype ?? (stored === "bf16" ? "bf16" : "f32");
  // Compiling is not part of how fast a model is.
  device().warm();
  const decoder = loadDecoder(source, dtype, basename(place), terminal);
  return {
    name: choice.model,
    decoder,
    tokenizer,
    [Symbol.dispose]: () => decoder[Symbol.dispose](),
  };
}

function loadDecoder(
  source: CheckpointSource,
  dtype: "f32" | "bf16",
  name: string,
  terminal: Terminal,
): Decoder {
  const sizes = source.entries.values().map(({ shape }) =>
    shape.reduce((a, b) => a * b, bytesOf(dtype))
  );
  const total = sizes.reduce((a, b) => a + b, 0);
  using progress = new Progress(terminal, `loading ${name}`);
  const shown = total < longLoadBytes
    ? source.entries
    : watchReads(source.entries, (bytes, all) => progress.update(bytes, all));
  return Decoder.load({ spec: source.spec, entries: shown }, { dtype, train: false });
}

/** The tokenizer that the user named, else the model's own. Throws UsageError when there is neither. */
export async function openTokenizer(
  place: string,
  source: CheckpointSource,
  given: string | undefined,
): Promise<Tokenizer> {
  if (given !== undefined) {
    if (existsSync(given)) return await Tokenizer.load(given);
    throw new UsageError(`tokenizer: there is no file or folder "${given}". Check --tokenizer.`);
  }
  const own = await ownTokenizer(place, source);
  if (own !== null) return own;
  const folder = Deno.statSync(place).isDirectory ? place : dirname(place);
  const beside = readdirSync(folder).filter((name) => tokenizerFile.test(name)).sort().at(-1);
  const example = beside === undefined ? "FILE" : relative(userPath("."), join(folder, beside));
  throw new UsageError(
    `tokenizer: ${basename(place)} carries none. Add --tokenizer ${example}` +
      (beside === undefined ? " (a tokenizer.json, tokenizer.model or tok*.bin)." : "."),
  );
}

/** The tokenizer that a checkpoint carries; null when it has none. */
export async function ownTokenizer(
  place: string,
  source: CheckpointSource,
): Promise<Tokenizer | null> {
  if ("metadata" in source) {
    const vocabulary = vocabularyOfGguf(source.metadata as Parameters<typeof vocabularyOfGguf>[0]);
    return vocabulary === null ? null : Tokenizer.fromVocabulary(vocabulary);
  }
  const names = source.files.map((file) => basename(file));
  const has = names.some((name) => /^tokenizer\.(json|model|bin)$/.test(name));
  return has
    ? await Tokenizer.load(Deno.statSync(place).isDirectory ? place : dirname(place))
    : null;
}
