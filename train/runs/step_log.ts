/**
 * JSON lines of steps: the figures of a run, or its samples. Only ever appended to.
 *
 * @module
 */
import { closeSync, existsSync, openSync, readFileSync, writeSync } from "node:fs";
import { writeAtomically } from "../../tensor/mod.ts";

/** One line. */
export interface StepLine {
  /** The optimizer step, from 1; 0 is before the first. */
  readonly step: number;
  /** Seconds since 1970. */
  readonly time: number;
  /** Figures by name, where one that is no number (NaN, infinite) is null; or a text. */
  readonly [key: string]: number | string | null;
}

/** Appends lines to a file. */
export class StepLog implements Disposable {
  readonly #descriptor: number;

  /**
   * Opens `path`, or makes it. Lines of steps after `lastStep` go: a resumed run writes them again, so that the curve is
   * the one of a run without a break. What a crash left of an unfinished line goes too.
   */
  constructor(path: string, lastStep: number) {
    if (existsSync(path)) cut(path, lastStep);
    this.#descriptor = openSync(path, "a");
  }

  /** Appends a line about a step. */
  append(step: number, values: Readonly<Record<string, number | string>>): void {
    const line = JSON.stringify({ step, time: Date.now() / 1000, ...values }) + "\n";
    const bytes = new TextEncoder().encode(line);
    for (let done = 0; done < bytes.length;) done += writeSync(this.#descriptor, bytes, done);
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}

function cut(path: string, lastStep: number): void {
  const text = readFileSync(path, "utf8");
  const kept = completeLines(text).filter((line) => parse(line).step <= lastStep);
  const shorter = kept.map((line) => line + "\n").join("");
  if (shorter === text) return;
  writeAtomically(path, (write) => write(new TextEncoder().encode(shorter)));
}

/** A line without an end was being written when the process died. */
function completeLines(text: string): string[] {
  return text.split("\n").slice(0, -1);
}

function parse(line: string): StepLine {
  return JSON.parse(line) as StepLine;
}

/** All lines of a file, in order; none when there is no file. */
export function readStepLog(path: string): StepLine[] {
  return existsSync(path) ? completeLines(readFileSync(path, "utf8")).map(parse) : [];
}
