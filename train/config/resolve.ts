/**
 * One configuration from a file and flags, checked against its schema.
 *
 * @module
 */
import type { z } from "zod";
import { nearest } from "../../text/spelling.ts";
import { ConfigError } from "./errors.ts";
import { type ConfigSchema, type Field, fieldsOf, flagOf, keyOf } from "./fields.ts";
import type { YamlFile } from "./yaml_file.ts";

/** A value that a flag gave. */
export interface FlagValue {
  readonly path: readonly string[];
  readonly value: unknown;
}

/** Where values come from; a flag wins over the file, and the file over the base. */
export interface ConfigSources {
  /** Values that are known to be good. */
  readonly base?: Readonly<Record<string, unknown>>;
  readonly file: YamlFile | null;
  readonly flags: readonly FlagValue[];
}

/** Checks and completes a configuration. Throws ConfigError that names every mistake with its line or flag. */
export function resolveConfig<S extends ConfigSchema>(
  schema: S,
  { base = {}, file, flags }: ConfigSources,
): z.output<S> {
  const value = merged(base, file?.value ?? {});
  for (const flag of flags) assign(value, flag);
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  const fields = fieldsOf(schema);
  const where = (path: readonly (string | number)[]): string => {
    const flag = flags.find((given) => given.path.every((part, i) => part === path[i]));
    if (flag !== undefined) return flagOf(flag.path);
    return file === null ? keyOf(path) : `${file.name}:${file.lineOf(path)}: ${keyOf(path)}`;
  };
  throw new ConfigError(
    result.error.issues.flatMap((issue) => sentences(issue, fields, file?.name ?? null, where)),
  );
}

/** A copy of `below` with the values of `above` over it, key by key. */
export function merged(
  below: Readonly<Record<string, unknown>>,
  above: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const result: Record<string, unknown> = structuredClone(below);
  for (const [key, value] of Object.entries(above)) {
    const under = result[key];
    result[key] = isObject(under) && isObject(value) ? merged(under, value) : value;
  }
  return result;
}

function assign(target: Record<string, unknown>, { path, value }: FlagValue): void {
  const [key, ...rest] = path, inner = target[key];
  if (rest.length === 0) {
    target[key] = value;
    return;
  }
  const next = isObject(inner) ? { ...inner } : {};
  target[key] = next;
  assign(next, { path: rest, value });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

type Where = (path: readonly (string | number)[]) => string;

/** What is wrong and what to write instead. */
function sentences(
  issue: z.core.$ZodIssue,
  fields: readonly Field[],
  fileName: string | null,
  where: Where,
): string[] {
  const path = issue.path as (string | number)[];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => {
      const meant = meantBy([...path, key], fields);
      const fix = meant === null ? "See --help for all keys." : `Did you mean ${meant}?`;
      return `${where([...path, key])} is no key that there is. ${fix}`;
    });
  }
  const field = fields.find((one) => keyOf(one.path) === keyOf(path));
  if (issue.input === undefined && issue.code !== "custom") {
    const how = `Give ${flagOf(path.map(String))} ${field?.placeholder ?? "YAML"}` +
      (fileName === null ? "" : `, or write it in ${fileName}`);
    return [`${keyOf(path)} is missing: ${field?.help ?? "it is needed"}. ${how}.`];
  }
  return [`${where(path)} ${rule(issue)}, ${given(issue.input)} given. ${example(field, issue)}`];
}

/** What a value must be, as the end of a sentence. */
function rule(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return `must be ${kinds[issue.expected] ?? issue.expected}`;
    case "too_small":
      return `must be ${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}`;
    case "too_big":
      return `must be ${issue.inclusive === false ? "less than" : "at most"} ${issue.maximum}`;
    case "invalid_value":
      return `must be one of ${issue.values.join(", ")}`;
    case "custom":
      return issue.message;
    default:
      return `is not of the right form`;
  }
}

const kinds: Readonly<Record<string, string>> = {
  number: "a number",
  int: "a whole number",
  string: "a text",
  boolean: "true or false",
  array: "a list",
  object: "a list of keys",
};

function given(value: unknown): string {
  return JSON.stringify(value);
}

function example(field: Field | undefined, issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_value") {
    const meant = nearest(String(issue.input), issue.values.map(String));
    if (meant !== null) return `Did you mean ${meant}?`;
  }
  if (issue.code === "custom") return "Change one of them.";
  if (field === undefined) return "See --help for what it takes.";
  if (field.fallback !== undefined && field.fallback !== null) {
    return `Try ${given(field.fallback)}.`;
  }
  return `Give a ${field.placeholder}: ${field.help}.`;
}

/** The key that a wrong one was meant to be: one beside it, or one anywhere whose last part is alike. */
function meantBy(path: readonly (string | number)[], fields: readonly Field[]): string | null {
  const parent = keyOf(path.slice(0, -1)), wrong = String(path.at(-1));
  const beside = fields.filter((field) =>
    keyOf(field.path).startsWith(parent === "" ? "" : `${parent}.`)
  )
    .map((field) => field.path[path.length - 1]);
  const near = nearest(camelCase(wrong), new Set(beside));
  if (near !== null) return keyOf([...path.slice(0, -1), near]);
  const elsewhere = nearest(camelCase(wrong), fields.map((field) => field.path.at(-1)!));
  const field = fields.find((one) => one.path.at(-1) === elsewhere);
  return field === undefined ? null : keyOf(field.path);
}

/** Other tools write `batch_tokens` or `batch-tokens`. */
function camelCase(word: string): string {
  return word.replace(/[-_]+(.)/g, (_, letter: string) => letter.toUpperCase());
}
