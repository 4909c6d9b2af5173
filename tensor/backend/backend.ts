/**
 * What a device must be able to do. A backend knows no ops: it is handed one, and picks the kernel the op carries for it.
 *
 * @module
 */
import type { AnyOp, View } from "../op.ts";
import type { Storage } from "../storage.ts";
import type { MemoryStats } from "./pool.ts";

/** A device: its memory, and kernels that run on it. */
export interface Backend {
  /** As the user names it. */
  readonly name: "cpu" | "cuda";
  /** Figures of its memory. */
  readonly memory: MemoryStats;
  /** Memory for `bytes` bytes, contents undefined. Throws OutOfMemoryError. */
  allocate(bytes: number): Storage;
  /** Take memory back; called by the last reference. */
  free(storage: Storage): void;
  /** Copy host bytes to `offset` bytes into `to`. */
  write(to: Storage, offset: number, from: Uint8Array): void;
  /** Copy `to.length` bytes at `offset` bytes into `from` to the host. Waits for the work that produces them. */
  read(from: Storage, offset: number, to: Uint8Array): void;
  /** Run `op`, which writes `outputs`. */
  run(op: AnyOp, inputs: readonly View[], outputs: readonly View[], params: unknown): void;
  /** Resolves when all work given so far is done. */
  synchronize(): Promise<void>;
}
