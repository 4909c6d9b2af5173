/**
 * What the tests of commands share: terminals in memory, a tiny model on disk, commands as child processes.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Terminal } from "../../cli/terminal.ts";
import { Decoder, type DecoderSpec } from "../../nn/mod.ts";
import { device } from "../../tensor/mod.ts";
import { trainBpe } from "../../text/mod.ts";
import { llama } from "../nn/specs.ts";

export { hasShared, SHARED, withFolder } from "../nn/specs.ts";

// Load the kernels before the first test: a library loaded inside one would count as its leak.
device().warm();

/** What a command wrote, and how it ended. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly errors: string;
}

/** A terminal that remembers. */
export interface MemoryTerminal extends Terminal {
  readonly out: string;
  readonly errors: string;
  /** What was written to stdout, piece by piece. */
  readonly pieces: readonly string[];
}

/** What a terminal in memory does besides remembering. */
export interface MemoryOptions {
  /** What is piped in. */
  readonly input?: string;
  /** Whether stdout and stderr pretend to be a screen. */
  readonly screen?: boolean;
  /** Called with each piece of output; Ctrl-C is pressed by calling `interrupt`. */
  readonly onText?: (piece: string, interrupt: () => void) => void;
}

/** A terminal in memory, 80 columns wide. */
export function memoryTerminal(options: MemoryOptions = {}): MemoryTerminal {
  const { input = "", screen = false, onText } = options;
  const pieces: string[] = [];
  let errors = "", controller = new AbortController();
  return {
    isInteractive: { input: false, output: screen, errors: screen },
    columns: 80,
    input: new Blob([input]).stream(),
    write(text) {
      pieces.push(text);
      onText?.(text, () => controller.abort());
    },
    report(text) {
      errors += text;
      onText?.(text, () => controller.abort());
    },
    interruptible(body) {
      controller = new AbortController();
      return body(controller.signal);
    },
    get out() {
      return pieces.join("");
    },
    get errors() {
      return errors;
    },
    pieces,
  };
}

/** Runs the main function of a command in this process. */
export async function runMain(
  main: (args: readonly string[], terminal: Terminal) => Promise<number>,
  args: readonly string[],
  options: MemoryOptions = {},
): Promise<Outcome & { readonly pieces: readonly string[] }> {
  const terminal = memoryTerminal(options);
  const code = await main(args, terminal);
  return { code, out: terminal.out, errors: terminal.errors, pieces: terminal.pieces };
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Where and with what a command is started. */
export interface TaskOptions {
  readonly cwd: string;
  /** What is piped in. */
  readonly input?: string;
  /** More environment variables. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs `deno task <name>` as a user would, from `cwd`. */
export async function runTask(
  name: string,
  args: readonly string[],
  { cwd, input = "", env = {} }: TaskOptions,
): Promise<Outcome> {
  // The tests run in a task themselves, whose folder must not be taken for the user's.
  const { INIT_CWD: _, ...inherited } = Deno.env.toObject();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "--config", join(root, "deno.json"), name, ...args],
    cwd,
    env: { ...inherited, ...env },
    clearEnv: true,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  // A command that does not read its input may be gone before it is written.
  await writer.write(new TextEncoder().encode(input)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return { code, out: decode(stdout), errors: decode(stderr) };
}

/** When and how a command is ended. */
export interface InterruptOptions {
  readonly cwd: string;
  /** As soon as it has reported this. */
  readonly at: RegExp;
  readonly signal: Deno.Signal;
}

/** Runs a command's program, which alone gets the signal. Returns its exit code and what it reported. */
export async function interruptTask(
  name: string,
  args: readonly string[],
  { cwd, at, signal }: InterruptOptions,
): Promise<Omit<Outcome, "out">> {
  const { INIT_CWD: _, ...inherited } = Deno.env.toObject();
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      `--config=${join(root, "deno.json")}`,
      `--preload=${join(root, "tests", "cli", "interrupt_preload.ts")}`,
      join(root, "cli", `${name}.ts`),
      ...args,
    ],
    cwd,
    env: { ...inherited, INTERRUPT_AT: at.source, INTERRUPT_WITH: signal },
    clearEnv: true,
    stdout: "null",
    stderr: "piped",
  }).output();
  return { code, errors: new TextDecoder().decode(stderr) };
}

/** The last line of stdout, parsed. */
export function lastJson({ out }: Outcome): Record<string, unknown> {
  return JSON.parse(out.trimEnd().split("\n").at(-1)!) as Record<string, unknown>;
}

/** A chat template that writes roles in angle brackets. */
export const template: string = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}" +
  "{% if add_generation_prompt %}<assistant>{% endif %}";

/** A random decoder with more ids than its tokenizer knows. */
export const tinySpec: DecoderSpec = { ...llama, vocab: 320, context: 64, tied: true };

/** Writes a Hugging Face folder with random weights and a byte-level tokenizer that was trained on a few words. */
export async function writeTinyModel(
  folder: string,
  { chatTemplate, context = tinySpec.context }: {
    readonly chatTemplate?: string;
    readonly context?: number;
  } = {},
): Promise<void> {
  using decoder = new Decoder({ ...tinySpec, context }, { seed: 3, train: false });
  decoder.save(folder);
  const trained = trainBpe(["hello world, hello there", "what a world"], {
    vocabularySize: 300,
    specialTokens: ["<s>", "</s>"],
    bos: "<s>",
    eos: "</s>",
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  });
  await trained.save(folder);
}
