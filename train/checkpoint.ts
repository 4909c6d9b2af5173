/**
 * Everything a run needs to go on exactly where it was, in folders that are whole or not there.
 *
 * @module
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import type { State } from "../nn/mod.ts";
import { checkState, copyEntry, entryOf, openState, writeState } from "../nn/state.ts";
import { type Tensor, writeAtomically } from "../tensor/mod.ts";
import type { Json } from "./stage.ts";

const TENSORS_FILE = "state.safetensors";
const FACTS_FILE = "state.json";
const FORMAT = 1;

/** The operations that writing a checkpoint consists of. Tests put others in their place. */
export interface CheckpointFiles {
  /** Makes a folder, and those above it. */
  makeFolder(path: string): void;
  /** Writes a safetensors file to the disk. */
  writeTensors(path: string, state: State): void;
  /** Writes a text file to the disk. */
  writeText(path: string, text: string): void;
  /** Makes the names in a folder last. */
  syncFolder(path: string): void;
  /** Gives a folder another name. */
  rename(from: string, to: string): void;
  /** Removes a folder with all that is in it. */
  remove(path: string): void;
}

/** The disk refused a checkpoint. What was saved before is untouched. */
export class SaveError extends Error {
  /** The name that messages begin with. */
  override name = "SaveError";
  /** Made by `Checkpoints.save()`; `isFull` when there was no space left. */
  constructor(message: string, readonly isFull: boolean, cause: unknown) {
    super(message, { cause });
  }
}

/** A checkpoint that is whole. */
export interface SavedState {
  /** Its folder. */
  readonly path: string;
  /** After how many steps it was written. */
  readonly step: number;
  /** What was saved beside the tensors. */
  readonly facts: Json;
}

/**
 * The checkpoints of a run: folders `step-000123`, each with `state.safetensors` and `state.json`.
 *
 * @example
 * ```ts
 * import { Tensor } from "@denotron/denotron/tensor";
 * import { Checkpoints } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * using weight = Tensor.from([1, 2]), copy = Tensor.zeros([2]);
 * const checkpoints = new Checkpoints(Deno.makeTempDirSync(), console.warn);
 * checkpoints.save(7, new Map([["weight", weight]]), { note: "seven" });
 * const newest = checkpoints.newest()!;
 * checkpoints.load(newest, new Map([["weight", copy]]));
 * assert.deepEqual([newest.step, newest.facts, [...copy.data()]], [7, { note: "seven" }, [1, 2]]);
 * ```
 */
export class Checkpoints {
  /** Those in `folder`, which need not exist; `warn` is told of broken ones. */
  constructor(
    readonly folder: string,
    readonly warn: (text: string) => void,
    readonly files: CheckpointFiles = diskFiles,
  ) {}

  /**
   * Writes a checkpoint beside the others under a temporary name, syncs it to the disk, then renames it, so that it is
   * whole or not there whatever happens. Throws SaveError when the disk refuses; the older ones stay as they were.
   */
  save(step: number, tensors: ReadonlyMap<string, Tensor>, facts: Json): string {
    const { files, folder } = this, path = this.pathOf(step);
    const temporary = join(folder, `.${basename(path)}.${crypto.randomUUID()}.tmp`);
    const entries = tensors.entries().map(([name, tensor]) => [name, entryOf(tensor)] as const);
    try {
      files.makeFolder(temporary);
      files.writeTensors(join(temporary, TENSORS_FILE), new Map(entries));
      files.writeText(
        join(temporary, FACTS_FILE),
        JSON.stringify({ format: FORMAT, step, facts }) + "\n",
      );
      files.syncFolder(temporary);
      // What has this name is broken, or this run would have gone on from it.
      if (existsSync(path)) files.remove(path);
      files.rename(temporary, path);
      files.syncFolder(folder);
    } catch (error) {
      throw this.#saveError(error, temporary, path);
    }
    return path;
  }

  #saveError(error: unknown, temporary: string, path: string): SaveError {
    try {
      this.files.remove(temporary);
    } catch {
      this.warn(`checkpoint: ${temporary} could not be removed. Delete it.`);
    }
    const isFull = (error as { code?: string }).code === "ENOSPC";
    const what = isFull ? "the disk is full" : (error as Error).message;
    const before = this.steps().at(-1);
    const older = before === undefined ? "there is none before" : `that of step ${before} is whole`;
    return new SaveError(
      `checkpoint: ${path} cannot be written, ${what} (${older}). Make room, then resume the run.`,
      isFull,
      error,
    );
  }

  /** Steps that have a checkpoint, whole or broken, in order. */
  steps(): number[] {
    if (!existsSync(this.folder)) return [];
    return readdirSync(this.folder).flatMap((name) => {
      const step = /^step-(\d+)$/.exec(name)?.[1];
      return step === undefined ? [] : [Number(step)];
    }).sort((a, b) => a - b);
  }

  /** The folder of a step's checkpoint. */
  pathOf(step: number): string {
    return join(this.folder, `step-${String(step).padStart(6, "0")}`);
  }

  /** The newest whole checkpoint, or null. Warns of each broken one that is newer. */
  newest(): SavedState | null {
    for (const step of this.steps().reverse()) {
      try {
        return this.open(step);
      } catch (error) {
        this.warn(
          `checkpoint: ${this.pathOf(step)} is broken and left aside. ${(error as Error).message}`,
        );
      }
    }
    return null;
  }

  /** The checkpoint of a step. Throws when it is not there or not whole. */
  open(step: number): SavedState {
    const path = this.pathOf(step);
    const text = readFileSync(join(path, FACTS_FILE), "utf8");
    const saved = JSON.parse(text) as { format: number; step: number; facts: Json };
    if (saved.format !== FORMAT || saved.step !== step) {
      throw new TypeError(
        `checkpoint: ${path} has format ${saved.format} and step ${saved.step} ` +
          `(${FORMAT} and ${step} expected). Write it again.`,
      );
    }
    openState(join(path, TENSORS_FILE))[Symbol.dispose](); // which checks the file's length
    return { path, step, facts: saved.facts };
  }

  /** Copies a checkpoint's tensors into those of these names. Throws CheckpointError when they do not fit. */
  load({ path }: SavedState, tensors: ReadonlyMap<string, Tensor>): void {
    using file = openState(join(path, TENSORS_FILE));
    const wanted = new Map([...file.state].filter(([name]) => tensors.has(name)));
    checkState(wanted, tensors, true);
    for (const [name, tensor] of tensors) copyEntry(wanted.get(name)!, tensor);
  }

  /** Removes all but the newest `keep`, and that of step `best`. */
  prune(keep: number, best: number | null): void {
    for (const step of this.steps().slice(0, -keep)) {
      if (step !== best) this.#remove(this.pathOf(step));
    }
  }

  /** Removes what writers left that did not finish. */
  clean(): void {
    if (!existsSync(this.folder)) return;
    for (const name of readdirSync(this.folder)) {
      if (name.startsWith(".step-") && name.endsWith(".tmp")) {
        this.files.remove(join(this.folder, name));
      }
    }
  }

  /** Under another name first, so that a checkpoint that is half removed is no checkpoint. */
  #remove(path: string): void {
    const gone = join(dirname(path), `.${basename(path)}.${crypto.randomUUID()}.tmp`);
    this.files.rename(path, gone);
    this.files.remove(gone);
  }
}

/** The file system. */
export const diskFiles: CheckpointFiles = {
  makeFolder: (path) => void mkdirSync(path, { recursive: true }),
  writeTensors: writeState,
  writeText: (path, text) =>
    writeAtomically(path, (write) => write(new TextEncoder().encode(text))),
  syncFolder(path) {
    if (Deno.build.os === "windows") return; // which cannot open folders, and keeps names by itself
    const descriptor = openSync(path, "r");
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  },
  rename: renameSync,
  remove: (path) => rmSync(path, { recursive: true, force: true }),
};
