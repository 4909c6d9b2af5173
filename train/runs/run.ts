/**
 * A run: a folder that tells what was done, with what, and how far it is.
 *
 * @module
 */
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { writeAtomically } from "../../tensor/mod.ts";
import { provenance } from "./provenance.ts";
import {
  readRecord,
  readRecords,
  type RunRecord,
  type RunStatus,
  tryLock,
  writeRecord,
} from "./record.ts";
import { removeIndex, RunIndex } from "./run_index.ts";
import { StageRecorder, type StageWatch, type StageWatcher } from "./stage_recorder.ts";

/** The run that was asked for cannot be had. */
export class RunError extends Error {
  /** The class name, for logs. */
  override readonly name = "RunError";
}

/** What a new run is. */
export interface RunDescription {
  /** The name of its folder; made from the stage and the time where it is left out. */
  readonly name?: string;
  /** What runs: a stage's name, or `pipeline`. */
  readonly stage: string;
  /** Optimizer steps in all; null when nobody knows. */
  readonly steps: number | null;
  /** What decides everything random. */
  readonly seed: number;
  /** The configuration with everything resolved, as YAML. */
  readonly config: string;
}

/** The file of a run's resolved configuration. */
export const configFile = "config.yaml";
/** The record and the index are written at most so often. */
const recordMs = 1000;

/**
 * A run in this process. Dispose of it at the end, whatever the end is.
 *
 * @example
 * ```ts
 * import { readStepLog, Run } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * const root = await Deno.makeTempDir();
 * {
 *   using run = Run.create(root, { name: "first", stage: "sft", steps: 1, seed: 0, config: "lr: 1" });
 *   using stage = run.stage("", { signal: new AbortController().signal, watchers: [] });
 *   stage.metrics(1, { loss: 2.5 }); // which train() does with a stage as its RunSink
 *   run.end("finished");
 * }
 * assert.equal(readStepLog(`${root}/first/metrics.jsonl`)[0].loss, 2.5);
 * await Deno.remove(root, { recursive: true });
 * ```
 */
export class Run implements Disposable {
  /** The run's folder. */
  readonly folder: string;
  readonly #lock: Deno.FsFile;
  #record: RunRecord;
  #writtenMs = 0;
  #discarded = false;

  private constructor(folder: string, lock: Deno.FsFile, record: RunRecord) {
    this.folder = folder;
    this.#lock = lock;
    this.#record = record;
    this.#write();
  }

  /** Begins a run in the folder `root`. Throws RunError when its name is taken, or is no name for a folder. */
  static create(root: string, description: RunDescription): Run {
    const { stage, steps, seed, config } = description;
    const name = description.name ?? unusedName(root, stage);
    if (!/^[\w.-]+$/.test(name) || name.startsWith(".")) {
      throw new RunError(
        `runs: "${name}" is no name for a run. Use letters, digits, dots and dashes.`,
      );
    }
    const folder = join(root, name);
    if (existsSync(folder)) {
      throw new RunError(
        `runs: there is already a run called ${name}. Resume it with --resume ${name}, or choose another --name.`,
      );
    }
    mkdirSync(folder, { recursive: true });
    const lock = tryLock(folder, true)!; // nobody else knows of the folder yet
    writeAtomically(
      join(folder, configFile),
      (write) => write(new TextEncoder().encode(config)),
    );
    const now = new Date().toISOString();
    return new Run(folder, lock, {
      name,
      stage,
      status: "running",
      step: 0,
      steps,
      metrics: {},
      model: null,
      seed,
      created: now,
      updated: now,
      process: { id: Deno.pid, host: hostname() },
      provenance: provenance(),
    });
  }

  /** Goes on with the run in `folder`. Throws RunError when there is none, or when another process runs it. */
  static reopen(folder: string): Run {
    const record = readRecord(folder);
    if (record === null) {
      throw new RunError(`runs: there is no run in ${folder}. See deno task runs.`);
    }
    const { id, host } = record.process;
    const lock = tryLock(folder, true);
    if (lock === null) {
      throw new RunError(
        `runs: ${record.name} is running, as process ${id} on ${host}. Stop that, or wait for its end.`,
      );
    }
    return new Run(folder, lock, {
      ...record,
      status: "running",
      process: { id: Deno.pid, host: hostname() },
    });
  }

  /** What the run is and how it stands. */
  get record(): RunRecord {
    return this.#record;
  }

  /** Where a stage reports to: `part` is its folder in the run's, or nothing when the stage is all of the run. */
  stage(part: string, watch: StageWatch): StageRecorder {
    const own: StageWatcher = {
      metrics: (step, metrics) => this.#progress(step, metrics),
      sample: () => {},
      warn: () => {},
    };
    const watchers = [own, ...watch.watchers];
    return new StageRecorder(join(this.folder, part), { ...watch, watchers });
  }

  /** Says where the trained model is, as a path in the run's folder. */
  model(path: string): void {
    this.#record = { ...this.#record, model: path };
    this.#write();
  }

  /** Removes the run and all that it left, because it never got anywhere. */
  discard(): void {
    this.#lock.close();
    const root = dirname(this.folder);
    rmSync(this.folder, { recursive: true });
    this.#discarded = true;
    if (readRecords(root).length === 0) return removeIndex(root);
    using index = new RunIndex(root);
    index.remove(this.#record.name);
  }

  /** Ends the run. */
  end(status: Exclude<RunStatus, "running">): void {
    this.#record = { ...this.#record, status };
    this.#write();
  }

  #progress(step: number, values: Readonly<Record<string, number>>): void {
    const finite = Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name, Number.isFinite(value) ? value : null]),
    );
    this.#record = { ...this.#record, step, metrics: { ...this.#record.metrics, ...finite } };
    if (performance.now() - this.#writtenMs > recordMs) this.#write();
  }

  #write(): void {
    this.#writtenMs = performance.now();
    this.#record = { ...this.#record, updated: new Date().toISOString() };
    writeRecord(this.folder, this.#record);
    using index = new RunIndex(dirname(this.folder));
    index.put(this.#record);
  }

  /** A run that nobody ended did not get to its end. */
  [Symbol.dispose](): void {
    if (this.#discarded) return;
    if (this.#record.status === "running") this.end("failed");
    this.#lock.close();
  }
}

/** Such as `sft-2026-11-21-1432`. */
function unusedName(root: string, stage: string): string {
  const now = Temporal.Now.plainDateTimeISO();
  const time = now.toString({ smallestUnit: "minute" }).replace("T", "-").replace(":", "");
  const name = `${stage}-${time}`;
  for (let count = 1;; count++) {
    const candidate = count === 1 ? name : `${name}-${count}`;
    if (!existsSync(join(root, candidate))) return candidate;
  }
}

/** The newest run in `root` that `accept` takes; null when there is none. */
export function newestRun(root: string, accept: (record: RunRecord) => boolean): string | null {
  const record = readRecords(root).find(accept);
  return record === undefined ? null : join(root, record.name);
}

/** The folder of the model of the newest finished run in `root`; null when there is none. */
export function newestModel(root: string): string | null {
  const record = readRecords(root).find(({ status, model }) =>
    status === "finished" && model !== null
  );
  return record === undefined ? null : join(root, record.name, record.model!);
}
