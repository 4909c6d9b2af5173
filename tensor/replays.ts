/**
 * Work that is done again and again with other numbers: it is captured and replayed.
 *
 * @module
 */
import type { Backend, Graph } from "./backend/backend.ts";
import type { GraphMemory } from "./backend/graph_memory.ts";
import { CaptureError, OutOfMemoryError } from "./errors.ts";
import { scope } from "./scope.ts";
import type { Tensor } from "./tensor.ts";

/** What a graph reads that changes, and the graph. */
interface Captured<R> {
  readonly inputs: readonly Tensor[];
  readonly graph: Graph<R>;
}

/** How `Replays` captures. */
export interface ReplaysOptions {
  /** Most graphs that are kept; the one unused for longest goes. 64 by default. */
  readonly most?: number;
  /** Whether anything is captured; true by default. */
  readonly graphs?: boolean;
}

/**
 * Runs bodies of work whose launches are the same whenever their key is. The first time a body runs as ever; the second
 * time it is captured, on a GPU as a CUDA graph, and from then on the graph is replayed, with the same bits. Where graphs
 * are off (on a GPU with `DENOTRON_CUDA_GRAPHS=0`), bodies just run.
 *
 * A body may depend on its inputs, on tensors that stay where they are, and on the key. Its results are lists of tensors.
 *
 * @example
 * ```ts
 * import { Replays, scope, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 * using replays = new Replays<readonly [Tensor]>();
 * for (const n of [1, 2, 3]) {
 *   scope(() => {
 *     const x = Tensor.from([n]);
 *     const [twice] = replays.run("double", [x], (x) => [x.mul(2)]);
 *     assert.equal(twice.item(), 2 * n);
 *   });
 * }
 * ```
 */
export class Replays<R extends readonly Tensor[]> implements Disposable {
  readonly #most: number;
  /** By key, the one unused for longest first; null for work that ran once. */
  readonly #known = new Map<string, Captured<R> | null>();
  #memory: GraphMemory | null = null;
  #refused: boolean;
  #replayed = 0;

  /** Nothing is captured yet. */
  constructor({ most = 64, graphs = true }: ReplaysOptions = {}) {
    this.#most = most;
    this.#refused = !graphs;
  }

  /** How often a graph did the work. */
  get replayed(): number {
    return this.#replayed;
  }

  /** Bytes of the device that graphs compute in. */
  get reserved(): number {
    return this.#memory?.reserved ?? 0;
  }

  /**
   * Does the work of `body` on `inputs`. To be called in a scope. Results of a replayed graph are the graph's: they hold
   * until the next `run()` or `clear()`, and must not be disposed.
   */
  run(key: string, inputs: readonly Tensor[], body: (...inputs: readonly Tensor[]) => R): R {
    const device = this.#device(inputs);
    if (!device) return body(...inputs);
    const known = this.#known.get(key);
    this.#known.delete(key); // and comes last
    if (known === undefined) {
      this.#known.set(key, null);
      this.#evict();
      return body(...inputs);
    }
    const captured = known ?? this.#capture(device, inputs, body);
    if (!captured) return body(...inputs);
    this.#known.set(key, captured);
    captured.inputs.forEach((own, i) => own.assign(inputs[i]));
    captured.graph.replay();
    this.#replayed++;
    return captured.graph.result;
  }

  /** The device to capture on, if any. */
  #device(inputs: readonly Tensor[]): Backend | null {
    const { backend } = inputs[0].storage;
    return !this.#refused && backend.graphs.enabled ? backend : null;
  }

  /** Null where it is not possible, which is said once. */
  #capture(
    device: Backend,
    inputs: readonly Tensor[],
    body: (...inputs: readonly Tensor[]) => R,
  ): Captured<R> | null {
    const own = inputs.map((x) => x.clone().detach().keep()), results: Tensor[] = [];
    const memory = this.#memory ??= device.graphMemory();
    try {
      const graph = device.capture(memory, () =>
        scope(() => {
          const made = body(...own);
          results.push(...made.map((result) => result.keep()));
          return made;
        }));
      return { inputs: own, graph };
    } catch (error) {
      for (const tensor of [...own, ...results]) tensor[Symbol.dispose]();
      if (!(error instanceof CaptureError || error instanceof OutOfMemoryError)) throw error;
      console.error(`denotron: goes on without graphs. ${error.message}`);
      this.clear();
      this.#refused = true;
      return null;
    }
  }

  #evict(): void {
    if (this.#known.size <= this.#most) return;
    const [oldest, captured] = this.#known.entries().next().value!;
    this.#known.delete(oldest);
    if (captured) release(captured);
  }

  /** Forgets what was captured, as when tensors that it reads are replaced. */
  clear(): void {
    for (const captured of this.#known.values()) if (captured) release(captured);
    this.#known.clear();
    this.#memory?.[Symbol.dispose]();
    this.#memory = null;
  }

  /** Gives graphs and their memory back. Safe to call twice. */
  [Symbol.dispose](): void {
    this.clear();
  }
}

function release({ inputs, graph }: Captured<readonly Tensor[]>): void {
  graph[Symbol.dispose]();
  for (const tensor of [...inputs, ...graph.result]) tensor[Symbol.dispose]();
}
