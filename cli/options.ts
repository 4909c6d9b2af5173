/**
 * One table per command: it parses the command line, checks it, and writes the help.
 *
 * @module
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { UsageError } from "./errors.ts";
import { nearest } from "../text/spelling.ts";

/** One `--option`. */
export interface Option<T> {
  /** What stands for its value in the help; null for a switch. */
  readonly placeholder: string | null;
  /** What it does, in a sentence without an end. */
  readonly help: string;
  /** The text that it stands for when no value follows; it needs a value where this is left out. */
  readonly bare?: string;
  /** Its value, from the texts given for it in order. Throws UsageError with the end of a sentence about the option. */
  read(given: readonly string[]): T;
}

/** Options by their names in camel case: `maxTokens` is `--max-tokens`. */
export type OptionTable = Readonly<Record<string, Option<unknown>>>;

/** A command and everything that its help says. */
export interface Command<O extends OptionTable> {
  /** As `deno task` knows it. */
  readonly name: string;
  /** What it does, in a line. */
  readonly summary: string;
  readonly options: O;
  /** What follows `deno task <name>` in examples. */
  readonly examples: readonly string[];
  /** Anything else to know; a paragraph each. */
  readonly notes?: readonly string[];
}

/** What the options of a table hold once parsed. */
export type Values<O> = {
  readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never;
};

/** A switch: there or not. */
export function flag(help: string): Option<boolean> {
  return { placeholder: null, help, read: (given) => given.length > 0 };
}

/** Any text. */
export function text(placeholder: string, help: string): Option<string | undefined> {
  return { placeholder, help, read: (given) => given.at(-1) };
}

/** Any texts: the option may stand more than once. */
export function texts(placeholder: string, help: string): Option<readonly string[]> {
  return { placeholder, help, read: (given) => given };
}

/** A path, from where the command was started: `deno task` itself changes into the project's folder. */
export function path(placeholder: string, help: string): Option<string | undefined> {
  return {
    placeholder,
    help,
    read: (given) => given.length > 0 ? userPath(given.at(-1)!) : undefined,
  };
}

/** A path as the user means it; `deno task` leaves the folder that it was started in in INIT_CWD. */
export function userPath(given: string): string {
  if (given === "") throw new UsageError(`needs a path. Give one`);
  return resolve(Deno.env.get("INIT_CWD") ?? ".", given);
}

/** One of some words. */
export function choice<const T extends string>(
  choices: readonly T[],
  help: string,
): Option<T | undefined> {
  return {
    placeholder: choices.join("|"),
    help,
    read(given) {
      const word = given.at(-1);
      if (word === undefined) return undefined;
      const chosen = choices.find((name) => name === word);
      if (chosen !== undefined) return chosen;
      const meant = nearest(word, choices);
      throw new UsageError(
        `must be one of ${choices.join(", ")}, "${word}" given. ` +
          (meant === null ? `Choose one of them` : `Try ${meant}`),
      );
    },
  };
}

/** The numbers that an option takes. */
export interface NumberRange<D> {
  readonly min: number;
  readonly max?: number;
  /** Its value when it is absent. */
  readonly fallback: D;
}

/** A number. */
export function number<D extends number | undefined>(
  placeholder: string,
  help: string,
  range: NumberRange<D>,
): Option<number | D> {
  return numeric(placeholder, help, range, "a number", Number.isFinite);
}

/** A whole number. */
export function integer<D extends number | undefined>(
  placeholder: string,
  help: string,
  range: NumberRange<D>,
): Option<number | D> {
  return numeric(placeholder, help, range, "a whole number", Number.isSafeInteger);
}

function numeric<D extends number | undefined>(
  placeholder: string,
  help: string,
  { min, max = Infinity, fallback }: NumberRange<D>,
  kind: string,
  isKind: (value: number) => boolean,
): Option<number | D> {
  const range = max === Infinity ? `of at least ${min}` : `from ${min} to ${max}`;
  return {
    placeholder,
    help: fallback === undefined ? help : `${help} (default ${fallback})`,
    read(given) {
      const written = given.at(-1);
      if (written === undefined) return fallback;
      const value = written.trim() === "" ? NaN : Number(written);
      if (isKind(value) && value >= min && value <= max) return value;
      const near = Math.min(Math.max(Math.round(value), min), max);
      const example = isKind(near) ? near : fallback ?? min;
      throw new UsageError(`must be ${kind} ${range}, "${written}" given. Try ${example}`);
    },
  };
}

/** A number of bytes, such as 500MB or 2GB; powers of 1000, or of 1024 as in 2GiB. */
export function bytes(placeholder: string, help: string): Option<number | undefined> {
  const units = ["", "K", "M", "G", "T"];
  return {
    placeholder,
    help,
    read(given) {
      const written = given.at(-1);
      if (written === undefined) return undefined;
      const [, count, unit, binary] = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?$/i.exec(written) ?? [];
      const base = binary === "" ? 1000 : 1024;
      const size = Math.floor(Number(count) * base ** units.indexOf(unit?.toUpperCase()));
      if (count !== undefined && size >= 1) return size;
      throw new UsageError(`must be a size, "${written}" given. Try 2GB`);
    },
  };
}

/** The same option, without which the command cannot run. */
export function required<T>(option: Option<T | undefined>): Option<T> {
  return {
    ...option,
    help: `${option.help} (required)`,
    read(given) {
      const value = option.read(given);
      if (value === undefined) throw new UsageError(`is missing. Give it a ${option.placeholder}`);
      return value;
    },
  };
}

/** `--max-tokens` for `maxTokens`. */
export function optionName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/**
 * Reads a command line; null when it asks for help. Throws UsageError for an unknown option, one without its value, and
 * one whose value does not fit.
 */
export function parseOptions<O extends OptionTable>(
  command: Command<O>,
  args: readonly string[],
): Values<O> | null {
  const given = collect(command, args);
  if (given.has("--help")) return null;
  const values: Record<string, unknown> = {};
  for (const [key, option] of Object.entries(command.options)) {
    const name = optionName(key);
    try {
      values[key] = option.read(given.get(name) ?? []);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      throw new UsageError(`${command.name}: ${name} ${error.message}, or see --help.`);
    }
  }
  return values as Values<O>;
}

/** The texts given for each option; an empty one for each time a switch stands there. */
function collect<O extends OptionTable>(
  { name: commandName, options }: Command<O>,
  args: readonly string[],
): Map<string, string[]> {
  const table = new Map(Object.entries(options).map(([key, option]) => [optionName(key), option]));
  const types = [...table].map(([name, { placeholder }]) =>
    [name.slice(2), { type: placeholder === null ? "boolean" : "string" }] as const
  );
  const { tokens } = parseArgs({
    // `deno task x -- --option` hands on its own `--`.
    args: completed(withoutFirst(args, "--"), table),
    options: { ...Object.fromEntries(types), help: { type: "boolean", short: "h" } },
    strict: false, // its messages name no fix
    tokens: true,
  });
  const given = new Map<string, string[]>();
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") throw surplus(commandName, token.value);
    const name = `--${token.name}`, option = table.get(name);
    if (option === undefined && name !== "--help") {
      throw unknown(commandName, token.rawName, table.keys());
    }
    const takesValue = option !== undefined && option.placeholder !== null;
    if (takesValue && isMissing(token.value, token.inlineValue, table)) {
      throw new UsageError(
        `${commandName}: ${name} needs a value. Give ${name} ${option.placeholder}, or see --help.`,
      );
    }
    if (!takesValue && token.value !== undefined) {
      throw new UsageError(
        `${commandName}: ${name} takes no value, "${token.value}" given. Leave it out.`,
      );
    }
    given.set(name, [...given.get(name) ?? [], token.value ?? ""]);
  }
  return given;
}

function withoutFirst(args: readonly string[], word: string): string[] {
  const at = args.indexOf(word);
  return at < 0 ? [...args] : args.toSpliced(at, 1);
}

/** Gives options that stand alone, and may, the text that they stand for. */
function completed(
  args: readonly string[],
  table: ReadonlyMap<string, Option<unknown>>,
): string[] {
  return args.map((arg, i) => {
    const bare = table.get(arg)?.bare, next = args[i + 1];
    return bare !== undefined && (next === undefined || next.startsWith("--"))
      ? `${arg}=${bare}`
      : arg;
  });
}

/** Whether what follows an option is another option rather than its value. */
function isMissing(
  value: string | undefined,
  inline: boolean | undefined,
  table: ReadonlyMap<string, unknown>,
): boolean {
  return value === undefined || (!inline && table.has(value.split("=")[0]));
}

function unknown(command: string, name: string, known: Iterable<string>): UsageError {
  const meant = nearest(name, [...known, "--help"]);
  const fix = meant === null ? "" : ` Did you mean ${meant}?`;
  return new UsageError(
    `${command}: there is no option ${name}.${fix} See --help for all options.`,
  );
}

function surplus(command: string, value: string): UsageError {
  return new UsageError(
    `${command}: "${value}" belongs to no option. Quote values that have spaces, or see --help.`,
  );
}
