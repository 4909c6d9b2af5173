/**
 * What a device must be able to do. A backend knows no ops: it is handed one, and picks the kernel the op carries for it.
 *
 * @module
 */
import type { AnyOp, View } from "../op.ts";
import type { Storage } from "../storage.ts";
import type { GraphMemory } from "./graph_memory.ts";
import type { MemoryStats } from "./pool.ts";

/** Work that was captured, and can be done again without the host's part in it. */
export interface Graph<T> extends Disposable {
  /** What the captured body returned; its tensors have values after each replay. */
  readonly result: T;
  /** Does the work. Throws CaptureError when it was disposed. */
  replay(): void;
}

/** Whether graphs are used. */
export interface GraphSetting {
  /** Whether they are. */
  readonly enabled: boolean;
  /** Why not; empty when they are. */
  readonly why: string;
}

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
  /** Whether work that repeats is captured as graphs. */
  readonly graphs: GraphSetting;
  /** Memory for graphs that are replayed one after the other. */
  graphMemory(): GraphMemory;
  /** A graph of the work of `body`. Nothing is computed until it is replayed. Throws CaptureError. */
  capture<T>(memory: GraphMemory, body: () => T): Graph<T>;
  /** Resolves when all work given so far is done. */
  synchronize(): Promise<void>;
}
