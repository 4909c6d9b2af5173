/**
 * `run.json`: what a run is and how it stands.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { writeAtomically } from "../../tensor/mod.ts";
import type { Provenance } from "./provenance.ts";

/**
 * How a run stands. `running` may be a lie that a killed process left behind: {@linkcode statusOf} knows.
 */
export type RunStatus = "running" | "interrupted" | "failed" | "finished";

/** What a run is and how it stands. */
export interface RunRecord {
  /** The name of the run's folder. */
  readonly name: string;
  /** What runs: a stage's name, or `pipeline`. */
  readonly stage: string;
  /** As it said last: see {@linkcode statusOf}. */
  readonly status: RunStatus;
  /** Optimizer steps done. */
  readonly step: number;
  /** Optimizer steps in all; null when nobody knows. */
  readonly steps: number | null;
  /** The newest value of each metric. */
  readonly metrics: Readonly<Record<string, number | null>>;
  /** The folder of the trained model, relative to the run's folder; null until there is one. */
  readonly model: string | null;
  /** What decided everything random. */
  readonly seed: number;
  /** When it began, as ISO 8601. */
  readonly created: string;
  /** When it was last written, as ISO 8601. */
  readonly updated: string;
  /** The process that runs it, or ran it last. */
  readonly process: { readonly id: number; readonly host: string };
  /** What it was made with. */
  readonly provenance: Provenance;
}

/** The file of a run's record. */
export const recordFile = "run.json";

/** Writes the record of the run in `folder`: all of it or none. */
export function writeRecord(folder: string, record: RunRecord): void {
  const text = JSON.stringify(record, null, 2) + "\n";
  writeAtomically(join(folder, recordFile), (write) => write(new TextEncoder().encode(text)));
}

/** The record of the run in `folder`; null when that is no run. */
export function readRecord(folder: string): RunRecord | null {
  const path = join(folder, recordFile);
  if (!existsSync(path)) return null;
  // Whoever copies a run may rename its folder.
  return { ...JSON.parse(readFileSync(path, "utf8")), name: basename(folder) } as RunRecord;
}

/** The runs in a folder, the newest first. */
export function readRecords(root: string): RunRecord[] {
  if (!existsSync(root)) return [];
  return readdirSync(root).map((name) => readRecord(join(root, name)))
    .filter((record) => record !== null)
    .toSorted((a, b) => b.created.localeCompare(a.created));
}

/** How the run in `folder` stands, seen from now: one that no process holds is interrupted, whatever it said last. */
export function statusOf(folder: string, { status }: RunRecord): RunStatus {
  if (status !== "running") return status;
  const lock = tryLock(folder, false);
  lock?.close();
  return lock === null ? "running" : "interrupted";
}

/**
 * Holds the run in `folder`, for this process alone or shared with others who only look; null when another process holds it.
 * The system lets go of it when the process dies, however it dies; closing the file lets go of it too.
 */
export function tryLock(folder: string, exclusive: boolean): Deno.FsFile | null {
  const file = Deno.openSync(join(folder, "run.lock"), { read: true, write: true, create: true });
  if (file.tryLockSync(exclusive)) return file;
  file.close();
  return null;
}
