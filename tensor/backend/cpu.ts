/**
 * The CPU: memory from a pool of buffers, ops as C kernels compiled on first use, or as their references in TypeScript
 * where there is no compiler (or no kernel, as for f64).
 *
 * @module
 */
import { Arguments } from "../../ffi/mod.ts";
import { bytesOf, type DType } from "../dtype.ts";
import { OutOfMemoryError, TensorError } from "../errors.ts";
import { isContiguous } from "../layout.ts";
import type { AnyOp, Kernel, View } from "../op.ts";
import { copy } from "../ops/copy.ts";
import { Storage } from "../storage.ts";
import type { Backend, Graph, GraphSetting } from "./backend.ts";
import { CallRecorder } from "./cpu_graph.ts";
import { CpuKernels, type NativeKernel } from "./cpu_kernels.ts";
import { GraphBlocks, type GraphMemory } from "./graph_memory.ts";
import { type MemorySegment, type MemoryStats, Pool } from "./pool.ts";
import { isNothing, kernelType, withReadable } from "./readable.ts";
import { type HostMemory, runReference } from "./reference.ts";

const outOfMemory = 1; // status code of kernel.h
const hugePage = 2 * 1024 * 1024;

/** The CPU as a device. */
export class CpuBackend implements Backend {
  readonly name = "cpu";
  /** Work that repeats is always captured. */
  readonly graphs: GraphSetting = { enabled: true, why: "" };
  readonly #kernels = new CpuKernels();
  #arguments = new Arguments(64);
  readonly #native = new Map<AnyOp, Map<DType, NativeKernel | null>>();
  readonly #pool: Pool = new Pool({
    allocate: (bytes) => this.#segment(bytes),
    release: () => {}, // the garbage collector takes the buffer once nothing refers to it
  }, 0.9 * Deno.systemMemoryInfo().total);
  readonly #blocks = new GraphBlocks(this.#pool);
  readonly #recorder = new CallRecorder(this.#blocks);

  /** Figures of its memory, in bytes. */
  get memory(): MemoryStats {
    return this.#pool.stats;
  }

  /** The most memory it may reserve, in bytes; 90 % of the machine's by default. Throws RangeError for less than 0. */
  set memoryLimit(bytes: number) {
    if (!(bytes >= 0)) throw new RangeError(`memoryLimit: a number of bytes is needed (${bytes}).`);
    this.#pool.limit = bytes;
  }

  /** Start measuring the peak of memory in use anew. */
  resetPeak(): void {
    this.#pool.resetPeak();
  }

  /** Give cached memory back to the system. Returns the number of bytes. */
  trim(): number {
    return this.#pool.trim();
  }

  /** How ops run: the compiler in use, or why there is none. */
  get description(): string {
    return this.#kernels.description;
  }

  /** Compile and load all kernels now rather than on the first call. */
  warm(): void {
    this.#kernels.warm();
  }

  /** Threads that kernels use. */
  get threads(): number {
    return this.#kernels.threads;
  }

  /** Use `count` threads; results do not depend on it. Throws RangeError unless it is a whole number from 1 to 256. */
  set threads(count: number) {
    this.#kernels.threads = count;
  }

  /**
   * Asks the system to let a thread in soon after it wakes, such as one that answers clients while kernels keep all
   * processors busy: for short turns (Linux 6.12 and later), and for a higher priority where the program may ask for one.
   * `thread` is the system's number of it: that of a program's main thread is the program's. Elsewhere nothing happens.
   */
  favour(thread: number): void {
    this.#kernels.favour(thread);
  }

  allocate(bytes: number): Storage {
    return new Storage(this, this.#blocks.take(bytes));
  }

  free(storage: Storage): void {
    this.#blocks.give(storage.block);
  }

  /** Memory for graphs that are replayed one after the other. */
  graphMemory(): GraphMemory {
    return this.#blocks.memory();
  }

  /**
   * A graph of the kernels that `body` calls. Nothing is computed until it is replayed. What the body makes lies in
   * `memory`; numbers that it writes are the same in each replay. Throws CaptureError when the body reads values.
   */
  capture<T>(memory: GraphMemory, body: () => T): Graph<T> {
    return this.#recorder.capture(memory, body);
  }

  write(to: Storage, offset: number, from: Uint8Array): void {
    if (!this.#blocks.capturing) return bytes(to, offset, from.length).set(from);
    const copy = from.slice();
    this.#recorder.add(() => bytes(to, offset, copy.length).set(copy), [{ storage: to }]);
  }

  read(from: Storage, offset: number, to: Uint8Array): void {
    this.#blocks.forbid("values are read");
    to.set(bytes(from, offset, to.length));
  }

  run(op: AnyOp, inputs: readonly View[], outputs: readonly View[], params: unknown): void {
    if (isNothing(outputs)) return;
    const kernel = op.kernel;
    const native = kernel ? this.#lookup(op, kernel, inputs, outputs) : null;
    const strided = native ? kernel!.strided ?? false : op.name === copy.name || hasOwnElements;
    if (strided === true) return this.#execute(op, native, inputs, outputs, params);
    const reads = typeof strided === "function" ? strided : isContiguous;
    withReadable(this, inputs, reads, (readable) => {
      this.#execute(op, native, readable, outputs, params);
    });
  }

  /** Nothing to wait for: calls return when they are done. */
  synchronize(): Promise<void> {
    return Promise.resolve();
  }

  #lookup(
    op: AnyOp,
    kernel: Kernel<unknown>,
    inputs: readonly View[],
    outputs: readonly View[],
  ): NativeKernel | null {
    const dtype = kernelType(kernel, inputs, outputs);
    let entries = this.#native.get(op);
    if (!entries) this.#native.set(op, entries = new Map());
    let native = entries.get(dtype);
    if (native === undefined) entries.set(dtype, native = this.#kernels.find(kernel, dtype));
    return native;
  }

  #execute(
    op: AnyOp,
    native: NativeKernel | null,
    inputs: readonly View[],
    outputs: readonly View[],
    params: unknown,
  ): void {
    if (this.#blocks.capturing) return this.#record(op, native, inputs, outputs, params);
    if (!native) return runReference(op, inputs, outputs, params, memory);
    const slots = slotsFor(inputs);
    if (slots > this.#arguments.capacity) this.#arguments = new Arguments(2 * slots);
    op.kernel!.arguments(this.#arguments.reset(), inputs, outputs, params);
    const status = this.#kernels.invoke(native, this.#arguments.pointer);
    if (status !== 0) throw statusError(op, status, inputs, params);
  }

  /** The same as part of a graph: with an argument block of its own. */
  #record(
    op: AnyOp,
    native: NativeKernel | null,
    inputs: readonly View[],
    outputs: readonly View[],
    params: unknown,
  ): void {
    const views = [...inputs, ...outputs];
    if (!native) {
      return this.#recorder.add(() => runReference(op, inputs, outputs, params, memory), views);
    }
    const block = new Arguments(slotsFor(inputs)), kernels = this.#kernels;
    op.kernel!.arguments(block, inputs, outputs, params);
    this.#recorder.add(() => {
      const status = kernels.invoke(native, block.pointer);
      if (status !== 0) throw statusError(op, status, inputs, params);
    }, views);
  }

  /** Zeroed memory; large segments start at a huge page and ask for them. */
  #segment(wanted: number): MemorySegment {
    const alignment = wanted >= hugePage ? hugePage : 64;
    const buffer = new ArrayBuffer(wanted + alignment);
    const base = Number(Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer)));
    const address = Math.ceil(base / alignment) * alignment;
    if (wanted >= hugePage) this.#kernels.adviseHugePages(BigInt(address), wanted);
    return { address, bytes: wanted, buffer, start: address - base };
  }
}

/** Slots of an argument block; ops of many inputs, such as concat, need a larger one. */
function slotsFor(inputs: readonly View[]): number {
  return 32 + 2 * inputs.length;
}

/** Whether no two elements share memory. An expanded view may decode to more numbers than the machine can hold. */
function hasOwnElements({ shape, strides }: View): boolean {
  return strides.every((stride, axis) => stride !== 0 || shape[axis] <= 1);
}

/** The bytes of a storage as JavaScript sees them. */
function bytes(storage: Storage, offset: number, length: number): Uint8Array {
  const { segment, offset: blockOffset } = storage.block;
  return new Uint8Array(segment.buffer!, segment.start + blockOffset + offset, length);
}

function statusError(op: AnyOp, status: number, inputs: readonly View[], params: unknown): Error {
  if (status === outOfMemory) {
    return new OutOfMemoryError(
      `${op.name}: the system has no memory for its working space. Use smaller batches.`,
    );
  }
  return op.kernel?.error?.(status, inputs, params) ??
    new TensorError(`${op.name}: its kernel failed with status ${status}. Please report this.`);
}

/** Elements lie where JavaScript sees them. */
const memory: HostMemory = {
  open: ({ storage, offset, dtype }) => {
    const { segment, offset: blockOffset } = storage.block;
    const start = segment.start + blockOffset + offset * bytesOf(dtype);
    return { buffer: segment.buffer!, start };
  },
  close: () => {},
};
