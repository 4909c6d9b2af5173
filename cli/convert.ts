/**
 * `deno task convert`: a checkpoint in another format, or with other numbers.
 *
 * @module
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, extname, join, relative } from "node:path";
import { type CheckpointSource, openCheckpoint } from "../nn/mod.ts";
import { Tokenizer } from "../text/mod.ts";
import { runCommand } from "./command.ts";
import type { ConversionJob, ConversionMessage } from "./convert_worker.ts";
import { interrupted, succeeded, UsageError } from "./errors.ts";
import { ggufOfVocabulary } from "./gguf_vocabulary.ts";
import { locateModel } from "./locate.ts";
import { modelHelp, ownTokenizer, tokenizerHelp } from "./model.ts";
import {
  bytes,
  choice,
  type Command,
  flag,
  path,
  required,
  text,
  userPath,
  type Values,
} from "./options.ts";
import { formatBytes, Progress } from "./progress.ts";
import { systemTerminal, type Terminal } from "./terminal.ts";

const options = {
  model: required(text("MODEL", modelHelp)),
  out: required(path("PATH", "What to write: a new folder, or a .gguf file")),
  format: choice(["hf", "gguf"], "Hugging Face or GGUF (default: by the name of --out)"),
  dtype: choice(
    ["f32", "f16", "bf16", "q8_0"],
    "How weights are stored; q8_0 in GGUF only (default: as they are)",
  ),
  maxShardSize: bytes("SIZE", "The largest safetensors file, as 2GB (default 5GB)"),
  tokenizer: path("FILE", tokenizerHelp),
  force: flag("Replace what is at --out"),
};

const command: Command<typeof options> = {
  name: "convert",
  summary:
    "A model in another format: between Hugging Face folders, GGUF files and llama2.c files.",
  options,
  examples: [
    "--model model.bin --tokenizer tok512.model --out ./model",
    "--model ./model --out model.gguf --dtype q8_0",
    "--model model.gguf --out ./model --dtype bf16",
  ],
  notes: ["Weights are read and written one at a time, and --out appears whole or not at all."],
};

/** Runs the command; returns its exit code. */
export function main(args: readonly string[], terminal: Terminal): Promise<number> {
  return runCommand(command, args, terminal, async (values) => {
    const format = formatOf(values);
    checkTarget(values, format);
    const from = await locateModel(values.model, terminal);
    checkSource(from, values);
    const plan = await makePlan(from, format, values);
    for (const line of plan.remarks) terminal.report(`convert: ${line}\n`);
    return await convert(plan, values.out, terminal);
  });
}

function formatOf({ format, out, dtype }: Values<typeof options>): "hf" | "gguf" {
  const isFile = extname(out) === ".gguf";
  if (format === "hf" && isFile) {
    throw new UsageError(
      "convert: --format hf writes a folder, --out is a .gguf file. Choose one of both.",
    );
  }
  const chosen = format ?? (isFile ? "gguf" : "hf");
  if (chosen === "hf" && dtype === "q8_0") {
    throw new UsageError(
      "convert: --dtype q8_0 exists in GGUF only. Add --format gguf, or use --dtype bf16.",
    );
  }
  return chosen;
}

/** Refuses to write over anything unless told to, and over anything but a model even then. */
function checkTarget({ out, force }: Values<typeof options>, format: "hf" | "gguf"): void {
  if (!existsSync(out)) return;
  const isFolder = statSync(out).isDirectory();
  if (isFolder && format === "hf" && readdirSync(out).length === 0) return;
  const isModel = isFolder ? existsSync(join(out, "config.json")) : extname(out) === ".gguf";
  if (!isModel || isFolder !== (format === "hf")) {
    throw new UsageError(`convert: ${out} exists and is no such model. Choose another --out.`);
  }
  if (!force) {
    throw new UsageError(`convert: ${out} exists already. Add --force to replace it.`);
  }
}

function checkSource(from: string, { out }: Values<typeof options>): void {
  if (existsSync(out) && Deno.realPathSync(out) === Deno.realPathSync(from)) {
    throw new UsageError(`convert: --model and --out are the same. Choose another --out.`);
  }
}

/** What there is to do, known before anything is written. */
interface Plan {
  readonly job: Omit<ConversionJob, "to" | "stop">;
  /** To be written beside the weights; null where the format or the tokenizer has no files for it. */
  readonly tokenizer: Tokenizer | null;
  /** What the user should know. */
  readonly remarks: readonly string[];
}

async function makePlan(
  from: string,
  format: "hf" | "gguf",
  { tokenizer: given, dtype, maxShardSize }: Values<typeof options>,
): Promise<Plan> {
  using source = openCheckpoint(from);
  if (given !== undefined && !existsSync(given)) {
    throw new UsageError(`tokenizer: there is no file or folder "${given}". Check --tokenizer.`);
  }
  const tokenizer = given === undefined
    ? await ownTokenizer(from, source)
    : await Tokenizer.load(given);
  const vocabulary = format === "gguf" ? tokenizer?.vocabulary : undefined;
  const lacking = tokenizer === null
    ? "the model carries no tokenizer, so neither will the result. Add --tokenizer FILE to change that."
    : format === "gguf" && vocabulary === undefined
    ? "GGUF cannot hold this kind of tokenizer, so the file will need --tokenizer wherever it is used."
    : null;
  const isOfTokenizer = (file: string): boolean =>
    /^(tokenizer|chat_template)/.test(basename(file));
  const files = given === undefined
    ? source.files
    : source.files.filter((file) => !isOfTokenizer(file));
  return {
    job: {
      from,
      format,
      dtype: dtype ?? (format === "hf" && holdsBlocks(source) ? "f16" : null),
      maxShardBytes: maxShardSize ?? null,
      files: format === "hf" ? files : [],
      metadata: vocabulary === undefined
        ? new Map()
        : ggufOfVocabulary(vocabulary, source.spec.vocab),
    },
    tokenizer: format === "hf" ? tokenizer : null,
    remarks: lacking === null ? [] : [lacking],
  };
}

/** Whether weights are stored in blocks, which safetensors has no type for. */
function holdsBlocks({ entries }: CheckpointSource): boolean {
  return entries.values().some(({ dtype }) => dtype === "q8_0");
}

/** Writes beside the target, then puts the result in its place. What is unfinished is removed. */
async function convert({ job, tokenizer }: Plan, out: string, terminal: Terminal): Promise<number> {
  mkdirSync(dirname(out), { recursive: true });
  const beside = join(dirname(out), `.${basename(out)}.${crypto.randomUUID()}.partial`);
  const to = join(beside, basename(out));
  mkdirSync(beside);
  try {
    const done = await terminal.interruptible((signal) => work({ ...job, to }, signal, terminal));
    if (!done) {
      terminal.report("convert: stopped, nothing was written\n");
      return interrupted;
    }
    await tokenizer?.save(to);
    const [before, isFolder] = [join(beside, "before"), statSync(to).isDirectory()];
    // A folder cannot take the place of one that has files.
    if (isFolder && existsSync(out)) renameSync(out, before);
    try {
      renameSync(to, out);
    } catch (error) {
      if (existsSync(before)) renameSync(before, out);
      throw error;
    }
  } finally {
    rmSync(beside, { recursive: true, force: true });
  }
  tell(out, terminal);
  return succeeded;
}

/** Runs the job in a thread; false when it was interrupted. Throws what the thread threw. */
async function work(
  job: Omit<ConversionJob, "stop">,
  signal: AbortSignal,
  terminal: Terminal,
): Promise<boolean> {
  using progress = new Progress(terminal, "converting");
  const stop = new Int32Array(new SharedArrayBuffer(4));
  // Beside this file, whose name ends in .ts, but in an npm package in .js.
  const program = import.meta.url.replace(/convert(?=\.\w+$)/, "convert_worker");
  const worker = new Worker(program, { type: "module" });
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  signal.addEventListener("abort", () => Atomics.store(stop, 0, 1));
  worker.onerror = (event) => {
    event.preventDefault();
    reject(new Error(event.message));
  };
  worker.onmessage = ({ data }: MessageEvent<ConversionMessage>) => {
    if (data.kind === "progress") progress.update(data.bytes, data.total, data.name);
    // Whoever presses Ctrl-C while the last tensor is written wants no result either.
    else if (data.kind === "done" || signal.aborted) resolve(!signal.aborted);
    else reject(Object.assign(data.error, { name: data.name }));
  };
  worker.postMessage({ ...job, stop } satisfies ConversionJob);
  try {
    return await promise;
  } finally {
    worker.terminate();
  }
}

/** Says what lies where. */
function tell(out: string, terminal: Terminal): void {
  const shown = relative(userPath("."), out);
  const name = shown.startsWith("..") || shown === "" ? out : shown;
  const isFolder = statSync(out).isDirectory();
  const files = isFolder ? readdirSync(out).sort().map((file) => join(out, file)) : [out];
  const sizes = files.map((file) => statSync(file).size);
  terminal.write(`${name}  ${formatBytes(sizes.reduce((a, b) => a + b, 0))}\n`);
  if (!isFolder) return;
  const width = Math.max(...files.map((file) => basename(file).length));
  files.forEach((file, i) =>
    terminal.write(`  ${basename(file).padEnd(width)}  ${formatBytes(sizes[i])}\n`)
  );
}

if (import.meta.main) Deno.exit(await main(Deno.args, systemTerminal()));
