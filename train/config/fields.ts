/**
 * The keys of a configuration, read from its schema: what flags, help and documents are made of.
 *
 * @module
 */
import { parseDocument } from "yaml";
import { z } from "zod";
import type { Json } from "../stage.ts";

/** Any schema of a configuration: an object whose values may be objects again. */
export type ConfigSchema = z.ZodObject;

/** One key that holds a value. */
export interface Field {
  /** The keys on the way to it: `["data", "path"]`. */
  readonly path: readonly string[];
  /** What stands for its value: `N`, `NUMBER`, `TEXT`, `PATH`, `YAML`, or its choices as `a|b`. */
  readonly placeholder: string;
  /** What it does, in a sentence without an end. */
  readonly help: string;
  /** Its value where nothing is given; undefined where there is none. */
  readonly fallback: Json | undefined;
  /** Whether it is on or off. */
  readonly isSwitch: boolean;
  /** Whether its value is text, which is taken as it is written. */
  readonly isText: boolean;
  /** Whether it is a list, of which a flag may give several with commas between them, or one of several flags one each. */
  readonly isList: boolean;
  /** Whether its value names a file or folder, or several. */
  readonly isPath: boolean;
}

/** What `z.toJSONSchema` says about a key. */
interface JsonSchema {
  readonly type?: string;
  readonly format?: string;
  readonly description?: string;
  readonly default?: Json;
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
}

/** All keys that hold a value, in the order of the schema. What `base` says of a key is its value where nothing is given. */
export function fieldsOf(
  schema: ConfigSchema,
  base: Readonly<Record<string, unknown>> = {},
): Field[] {
  const fields = leaves(z.toJSONSchema(schema, { io: "input" }) as JsonSchema, []);
  return fields.map((field) => ({
    ...field,
    fallback: valueAt(base, field.path) ?? field.fallback,
  }));
}

function valueAt(base: unknown, path: readonly string[]): Json | undefined {
  return path.reduce((value, key) => (value as Record<string, unknown>)?.[key], base) as
    | Json
    | undefined;
}

function leaves(schema: JsonSchema, path: readonly string[]): Field[] {
  // A part that may be left out altogether has the keys that it has when it is there.
  const object = [schema, ...schema.anyOf ?? []].find(({ properties }) => properties !== undefined);
  if (object === undefined) return [fieldOf(schema, path)];
  return Object.entries(object.properties!).flatMap(([key, part]) => leaves(part, [...path, key]));
}

function fieldOf(schema: JsonSchema, path: readonly string[]): Field {
  const scalars = scalarsOf(schema), isText = scalars.every(({ type }) => type === "string");
  return {
    path,
    placeholder: placeholderOf(scalars[0]),
    help: schema.description ?? "",
    fallback: schema.default,
    isSwitch: schema.type === "boolean",
    isText,
    isList: alternatives(schema).some(({ items }) => items !== undefined),
    isPath: scalars.some(({ format }) => format === "path"),
  };
}

function alternatives(schema: JsonSchema): readonly JsonSchema[] {
  return schema.anyOf?.flatMap(alternatives) ?? [schema];
}

/** What a value, or an element of it, may be. */
function scalarsOf(schema: JsonSchema): readonly JsonSchema[] {
  return alternatives(schema).flatMap((one) => one.items ? scalarsOf(one.items) : [one]);
}

function placeholderOf({ type, format, enum: words }: JsonSchema): string {
  if (words !== undefined) return words.join("|");
  if (type === "string") return format === "path" ? "PATH" : "TEXT";
  if (type === "boolean") return "true|false";
  return { integer: "N", number: "NUMBER" }[type ?? ""] ?? "YAML";
}

/** `--data.on-bad-row` for `["data", "onBadRow"]`. */
export function flagOf(path: readonly string[]): string {
  return `--${keyOf(path).replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** `data.onBadRow` for `["data", "onBadRow"]`. */
export function keyOf(path: readonly (string | number)[]): string {
  return path.map((part) => typeof part === "number" ? `[${part}]` : part).join(".")
    .replaceAll(".[", "[");
}

/** The value of a flag: what the same text would be in YAML, but for texts, which are taken as they are. */
export function flagValue(field: Field, given: readonly string[]): Json {
  const last = given.at(-1)!;
  const read = (text: string): Json => field.isText ? text : parseDocument(text).toJS() as Json;
  if (last === "none" && !field.isText) return null;
  if (!field.isList) return read(last);
  // Whoever needs more than a list of plain values writes it as in a file.
  if (last.startsWith("[")) return parseDocument(last).toJS() as Json;
  return given.flatMap((text) => text.split(",")).map(read);
}
