/**
 * CUDA graphs: launches that are taken down once and started again with one call, which costs the host next to nothing.
 *
 * A graph repeats its launches with the addresses and numbers that they had. What differs from time to time must
 * therefore lie in device memory, and all memory that the launches touch must stay theirs: a graph holds on to tensors
 * that were there before, and what is made while it is captured comes from a `GraphMemory`.
 *
 * @module
 */
import { NativeError } from "../../ffi/mod.ts";
import type { CudaDriver } from "../../ffi/cuda/mod.ts";
import { CaptureError } from "../errors.ts";
import type { View } from "../op.ts";
import type { Storage } from "../storage.ts";
import type { Graph } from "./backend.ts";
import type { CudaLauncher } from "./cuda_launcher.ts";
import type { GraphBlocks, GraphMemory } from "./graph_memory.ts";

/** What a graph needs for as long as it may be replayed. */
class Holdings implements Disposable {
  readonly #driver: CudaDriver;
  readonly #storages = new Set<Storage>();
  readonly #pinned: number[] = [];

  constructor(driver: CudaDriver) {
    this.#driver = driver;
  }

  /** Keeps a tensor's memory. */
  hold(storage: Storage): void {
    if (!this.#storages.has(storage)) this.#storages.add(storage.retain());
  }

  /** Keeps bytes where the device reads them whenever the graph is replayed. Returns their address. */
  keep(bytes: Uint8Array): number {
    const { address, buffer } = this.#driver.allocateHost(bytes.length);
    this.#pinned.push(address);
    new Uint8Array(buffer).set(bytes);
    return address;
  }

  [Symbol.dispose](): void {
    for (const storage of this.#storages) storage.release();
    for (const address of this.#pinned) this.#driver.freeHost(address);
  }
}

/** A graph that was captured. */
export class CudaGraph<T> implements Graph<T> {
  /** What the body returned; its tensors have values after each replay. */
  readonly result: T;
  /** Launches and copies. */
  readonly size: number;
  readonly #replay: () => void;
  readonly #release: () => void;
  #disposed = false;

  /** Called by `GraphRecorder`. */
  constructor(result: T, size: number, replay: () => void, release: () => void) {
    [this.result, this.size, this.#replay, this.#release] = [result, size, replay, release];
  }

  /** Starts everything in it again. Throws CaptureError when it was disposed, NativeError when it does not start. */
  replay(): void {
    if (this.#disposed) throw new CaptureError("graph: it was disposed. Capture it again.");
    this.#replay();
  }

  /** Lets go of the memory that it holds. Its result is its maker's. Safe to call twice. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#release();
  }
}

/** Captures graphs on one stream. */
export class GraphRecorder {
  readonly #driver: CudaDriver;
  readonly #stream: Deno.PointerObject;
  readonly #launcher: CudaLauncher;
  readonly #blocks: GraphBlocks;
  #holdings: Holdings | null = null;

  /** Captures what `launcher` starts on `stream`; what graphs make lies in `blocks`. */
  constructor(
    driver: CudaDriver,
    stream: Deno.PointerObject,
    launcher: CudaLauncher,
    blocks: GraphBlocks,
  ) {
    [this.#driver, this.#stream, this.#launcher, this.#blocks] = [driver, stream, launcher, blocks];
  }

  /** Keeps the memory of tensors that an op of the graph reads or writes. */
  hold(views: readonly View[]): void {
    if (!this.#holdings) return;
    for (const { storage } of views) {
      if (!this.#blocks.owns(storage.block)) this.#holdings.hold(storage);
    }
  }

  /** Makes a copy of `bytes` to the device part of the graph; false while none is captured. */
  write(to: Storage, offset: number, bytes: Uint8Array): boolean {
    if (!this.#holdings) return false;
    this.hold([{ storage: to } as View]);
    if (bytes.length === 0) return true;
    const from = this.#holdings.keep(bytes);
    this.#driver.copyToDevice(to.address + offset, from, bytes.length, this.#stream);
    return true;
  }

  /**
   * Takes down what `body` launches. Nothing runs before the graph is replayed, so the body cannot read values. Throws
   * CaptureError when it does, or when the driver refuses something in it.
   */
  capture<T>(memory: GraphMemory, body: () => T): CudaGraph<T> {
    this.#blocks.forbid("another one is captured");
    const holdings = new Holdings(this.#driver), names = new Map<number, string>();
    try {
      const [graph, result] = this.#record(
        memory,
        holdings,
        () => this.#launcher.remembering(names, body),
      );
      const [size, executable] = this.#instantiate(graph);
      return new CudaGraph(result, size, () => this.#launcher.replay(executable), () => {
        this.#driver.synchronize(this.#stream); // it may be at work
        this.#driver.destroyExecutable(executable);
        this.#launcher.forget(names);
        holdings[Symbol.dispose]();
      });
    } catch (error) {
      this.#launcher.forget(names);
      holdings[Symbol.dispose]();
      if (!(error instanceof NativeError)) throw error;
      throw new CaptureError(`graph: it cannot be captured, ${error.message}`, { cause: error });
    }
  }

  #record<T>(
    memory: GraphMemory,
    holdings: Holdings,
    body: () => T,
  ): [graph: Deno.PointerObject, result: T] {
    this.#driver.beginCapture(this.#stream);
    this.#holdings = holdings;
    let result: T;
    try {
      result = this.#blocks.capture(memory, body);
    } catch (error) {
      this.#abandon();
      throw error;
    } finally {
      this.#holdings = null;
    }
    return [this.#driver.endCapture(this.#stream), result];
  }

  #instantiate(graph: Deno.PointerObject): [size: number, executable: Deno.PointerObject] {
    try {
      return [this.#driver.graphSize(graph), this.#driver.instantiateGraph(graph)];
    } finally {
      this.#driver.destroyGraph(graph);
    }
  }

  #abandon(): void {
    try {
      this.#driver.destroyGraph(this.#driver.endCapture(this.#stream));
    } catch (error) {
      if (!(error instanceof NativeError)) throw error; // spoilt: there is no graph
    }
  }
}
