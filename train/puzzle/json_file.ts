/**
 * Files of plain facts.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { writeAtomically } from "../../tensor/safetensors.ts";

/** What a file holds; null when there is none. */
export function readJson<T>(path: string): T | null {
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) as T : null;
}

/** Writes a file whole or not at all. */
export function writeJson(path: string, value: unknown): void {
  writeText(path, JSON.stringify(value, null, 2) + "\n");
}

/** Writes a text whole or not at all. */
export function writeText(path: string, text: string): void {
  const bytes = new TextEncoder().encode(text);
  writeAtomically(path, (write) => write(bytes));
}
