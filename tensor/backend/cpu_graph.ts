/**
 * Calls of kernels that are taken down once and made again, which spares the host everything before a call: shapes, checks,
 * memory, arguments. See `cuda_graph.ts`, which does the same for a GPU; here the calls are a list.
 *
 * @module
 */
import { CaptureError } from "../errors.ts";
import type { View } from "../op.ts";
import type { Storage } from "../storage.ts";
import type { Graph } from "./backend.ts";
import type { GraphBlocks, GraphMemory } from "./graph_memory.ts";

/** Calls that were captured. */
export class CpuGraph<T> implements Graph<T> {
  /** What the body returned; its tensors have values after each replay. */
  readonly result: T;
  readonly #calls: (() => void)[];
  readonly #held: Set<Storage>;

  /** Called by `CallRecorder`. */
  constructor(result: T, calls: (() => void)[], held: Set<Storage>) {
    [this.result, this.#calls, this.#held] = [result, calls, held];
  }

  /** Calls in it. */
  get size(): number {
    return this.#calls.length;
  }

  /** Makes all calls again. Throws what they throw, and CaptureError when it was disposed. */
  replay(): void {
    if (this.#calls.length === 0) throw new CaptureError("graph: it is empty, or was disposed.");
    for (let i = 0; i < this.#calls.length; i++) this.#calls[i]();
  }

  /** Lets go of the memory that it holds. Its result is its maker's. Safe to call twice. */
  [Symbol.dispose](): void {
    this.#calls.length = 0;
    for (const storage of this.#held) storage.release();
    this.#held.clear();
  }
}

/** Captures graphs. */
export class CallRecorder {
  readonly #blocks: GraphBlocks;
  #capture: { readonly calls: (() => void)[]; readonly held: Set<Storage> } | null = null;

  /** What graphs make lies in `blocks`. */
  constructor(blocks: GraphBlocks) {
    this.#blocks = blocks;
  }

  /** Makes a call part of the graph that is captured, and keeps the memory that it reads or writes. */
  add(call: () => void, views: readonly Pick<View, "storage">[]): void {
    const { calls, held } = this.#capture!;
    calls.push(call);
    for (const { storage } of views) {
      if (!this.#blocks.owns(storage.block) && !held.has(storage)) held.add(storage.retain());
    }
  }

  /** The calls of `body`, none of which is made before the graph is replayed. */
  capture<T>(memory: GraphMemory, body: () => T): CpuGraph<T> {
    this.#blocks.forbid("another one is captured");
    const calls: (() => void)[] = [], held = new Set<Storage>();
    this.#capture = { calls, held };
    try {
      return new CpuGraph(this.#blocks.capture(memory, body), calls, held);
    } catch (error) {
      for (const storage of held) storage.release();
      throw error;
    } finally {
      this.#capture = null;
    }
  }
}
