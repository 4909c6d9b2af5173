/**
 * What a stage leaves in its folder while it runs: figures, TensorBoard events, samples.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { RunSink } from "../stage.ts";
import { EventFile } from "./event_file.ts";
import { StepLog } from "./step_log.ts";

/** Who looks on while a stage runs. */
export type StageWatcher = Pick<RunSink, "metrics" | "sample" | "warn" | "resumed">;

/** The file of a stage's figures. */
export const metricsFile = "metrics.jsonl";
/** The file of a stage's samples. */
export const samplesFile = "samples.jsonl";

/** The files that a stage writes to; opened with its first figures, when it is known from which step it goes on. */
interface Files {
  readonly metrics: StepLog;
  readonly samples: StepLog;
  readonly events: EventFile;
}

/** How a stage is watched. */
export interface StageWatch {
  /** The stage should end when it aborts. */
  readonly signal: AbortSignal;
  /** Told what is written, as it is written. */
  readonly watchers: readonly StageWatcher[];
  /** Adds figures to those of a step, as `mfu` to `tokens_per_second`. */
  readonly complete?: (values: Readonly<Record<string, number>>) => Record<string, number>;
}

/** Writes what a stage reports into a folder, and tells those who look on. Dispose of it to close the files. */
export class StageRecorder implements RunSink, Disposable {
  /** The stage's folder. */
  readonly folder: string;
  readonly #watch: StageWatch;
  #files: Files | null = null;

  /** Makes the folder if need be. */
  constructor(folder: string, watch: StageWatch) {
    mkdirSync(folder, { recursive: true });
    this.folder = folder;
    this.#watch = watch;
  }

  /** Whether someone asked to stop. */
  get interrupted(): boolean {
    return this.#watch.signal.aborted;
  }

  /** Goes on after `step`: what was written of later steps goes. */
  resumed(step: number): void {
    this.#close();
    this.#files = this.#open(step);
    for (const watcher of this.#watch.watchers) watcher.resumed?.(step);
  }

  /** Figures of a step. */
  metrics(step: number, told: Readonly<Record<string, number>>): void {
    const values = this.#watch.complete?.(told) ?? told;
    const { metrics, events } = this.#files ??= this.#open(0);
    metrics.append(step, values);
    events.scalars(step, values);
    for (const watcher of this.#watch.watchers) watcher.metrics(step, values);
  }

  /** A text that the model wrote after a step. */
  sample(step: number, text: string): void {
    const { samples, events } = this.#files ??= this.#open(0);
    samples.append(step, { text });
    // Four spaces make Markdown leave a text as it is.
    events.text("sample", step, text.replaceAll(/^/gm, "    "));
    for (const watcher of this.#watch.watchers) watcher.sample(step, text);
  }

  /** Something that a person should know. */
  warn(text: string): void {
    for (const watcher of this.#watch.watchers) watcher.warn(text);
  }

  #open(lastStep: number): Files {
    return {
      metrics: new StepLog(join(this.folder, metricsFile), lastStep),
      samples: new StepLog(join(this.folder, samplesFile), lastStep),
      events: new EventFile(this.folder, lastStep + 1),
    };
  }

  #close(): void {
    for (const file of Object.values(this.#files ?? {})) file[Symbol.dispose]();
    this.#files = null;
  }

  /** Closes the files. */
  [Symbol.dispose](): void {
    this.#close();
  }
}
