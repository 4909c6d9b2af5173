/**
 * Checking the types of a row's fields.
 *
 * @module
 */
import { RowError } from "./errors.ts";

/** The fields of a row as the file has them. */
export type Fields = Readonly<Record<string, unknown>>;

/** Whether a value is a JSON object. */
export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A field that is a text. Throws RowError where it is none. */
export function text(value: unknown, field: string): string {
  if (typeof value === "string") return value;
  throw new RowError(`"${field}" is ${kindOf(value)}. Make it a text.`);
}

/** A field that is a list. Throws RowError where it is none. */
export function list(value: unknown, field: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new RowError(`"${field}" is ${kindOf(value)}. Make it a list.`);
}

/** A type in words. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "missing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "string") return "a text";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
