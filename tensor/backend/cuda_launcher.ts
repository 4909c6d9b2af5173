/**
 * Starts CUDA kernels, remembers which, and collects what they complain about.
 *
 * A kernel has two parameters: the argument block that the C kernel of its op takes, and a context: where to report a bad
 * index, working space, and the number of the launch.
 *
 * @module
 */
import { Arguments, NativeError } from "../../ffi/mod.ts";
import type { CudaDriver } from "../../ffi/cuda/mod.ts";
import { IndexError } from "../errors.ts";
import type { Launch } from "../op.ts";

const remembered = 256;
/** Status, number of the launch, value, place and size of the axis, 8 bytes each; as in ops/kernel.cuh. */
const faultWords = 5;

/** Starts kernels on one stream. */
export class CudaLauncher {
  readonly #driver: CudaDriver;
  readonly #stream: Deno.PointerObject;
  readonly #arguments = new Arguments(64); // as many as struct Slots of ops/kernel.cuh
  // Addresses of the two parameters, and the context behind them.
  readonly #parameters = new BigUint64Array(new ArrayBuffer(40)); // not on V8's heap, where it could move
  readonly #table: Deno.PointerObject;
  readonly #faults: number;
  readonly #faultCopy: { readonly address: number; readonly words: BigInt64Array };
  readonly #names: string[] = new Array(remembered).fill("");
  readonly #afterEach: boolean;
  /** Launches that graphs repeat: their numbers, and the ops. */
  readonly #captured = new Map<number, string>();
  #capturing: Map<number, string> | null = null;
  #count = 0;

  /** Starts kernels on `stream`; waits for each of them when `afterEach`, so that errors name the right one. */
  constructor(driver: CudaDriver, stream: Deno.PointerObject, afterEach: boolean) {
    this.#driver = driver;
    this.#stream = stream;
    this.#afterEach = afterEach;
    const host = driver.allocateHost(2 * 8 * faultWords);
    new Uint8Array(host.buffer).fill(0);
    this.#faultCopy = {
      address: host.address,
      words: new BigInt64Array(host.buffer, 0, faultWords),
    };
    this.#faults = driver.allocate(8 * faultWords);
    this.#clearFaults();
    this.#table = Deno.UnsafePointer.of(this.#parameters)!;
    const base = Deno.UnsafePointer.value(this.#table);
    this.#parameters[0] = Deno.UnsafePointer.value(this.#arguments.pointer);
    this.#parameters[1] = base + 16n;
    this.#parameters[2] = BigInt(this.#faults);
  }

  /** The argument block of the next kernel, empty. */
  get arguments(): Arguments {
    return this.#arguments.reset();
  }

  /** Starts a kernel of `op` with the arguments as they are. */
  launch(
    op: string,
    kernel: Deno.PointerObject,
    { blocks, threads, shared = 0 }: Launch,
    scratch: number,
  ): void {
    const grid = typeof blocks === "number" ? [blocks, 1, 1] as const : blocks;
    if (grid.includes(0)) return;
    this.#names[this.#count % remembered] = op;
    this.#capturing?.set(this.#count, op);
    this.#parameters[3] = BigInt(scratch);
    this.#parameters[4] = BigInt(this.#count++);
    const status = this.#driver.launch(
      kernel,
      { blocks: grid, threads, shared },
      this.#stream,
      this.#table,
    );
    if (status !== 0) throw this.#failure(status, `cuLaunchKernel for ${op}`);
    if (this.#afterEach) this.synchronize();
  }

  /** Runs `body`, whose launches a graph will repeat: `names` learns their numbers and ops. */
  remembering<T>(names: Map<number, string>, body: () => T): T {
    this.#capturing = names;
    try {
      return body();
    } finally {
      this.#capturing = null;
      for (const [launch, op] of names) this.#captured.set(launch, op);
    }
  }

  /** Launches that nothing repeats any more. */
  forget(names: ReadonlyMap<number, string>): void {
    for (const launch of names.keys()) this.#captured.delete(launch);
  }

  /** Starts all of a graph. */
  replay(executable: Deno.PointerObject): void {
    this.#names[this.#count++ % remembered] = "a graph";
    const status = this.#driver.launchGraph(executable, this.#stream);
    if (status !== 0) throw this.#failure(status, "cuGraphLaunch");
  }

  /**
   * Waits for the stream. Throws IndexError when a kernel was given an index outside of its axis, NativeError when one
   * failed.
   */
  synchronize(): void {
    this.#fetchFaults();
    const status = this.#driver.synchronize(this.#stream);
    if (status !== 0) throw this.#failure(status, "cuStreamSynchronize");
    const [fault, launch, value, place, size] = this.#faultCopy.words;
    if (fault === 0n) return;
    this.#clearFaults();
    const op = this.#nameOf(Number(launch));
    throw new IndexError(
      `${op}: index ${value} at place ${place} is outside its axis (${size}). ` +
        (size > 0n ? `Use 0 to ${size - 1n}.` : "The axis is empty; pass no indices."),
    );
  }

  /** Waits without blocking this thread; throws as `synchronize` does. */
  async settle(): Promise<void> {
    const notReady = 600;
    while (this.#driver.query(this.#stream) === notReady) {
      await new Promise<void>((resolve) => setTimeout(resolve, 0));
    }
    this.synchronize();
  }

  #fetchFaults(): void {
    try {
      this.#driver.copyToHost(this.#faultCopy.address, this.#faults, 8 * faultWords, this.#stream);
    } catch (error) {
      // After a kernel has failed every call does.
      throw error instanceof NativeError ? this.#failure(error.code, error.call) : error;
    }
  }

  #clearFaults(): void {
    // The upper half of the pinned memory stays zeros.
    this.#driver.copyToDevice(
      this.#faults,
      this.#faultCopy.address + 8 * faultWords,
      8 * faultWords,
      this.#stream,
    );
  }

  #nameOf(launch: number): string {
    const captured = this.#captured.get(launch);
    if (captured !== undefined) return captured;
    return this.#count - launch <= remembered ? this.#names[launch % remembered] : "an earlier op";
  }

  /** The error for a status, with what was launched last. */
  #failure(status: number, call: string): Error {
    const error = this.#driver.error(status, call);
    const last = Array.from(
      { length: Math.min(8, this.#count) },
      (_, i) => this.#nameOf(this.#count - 1 - i),
    );
    const advice = this.#afterEach
      ? ""
      : " Set DENOTRON_CUDA_DEBUG=1 to wait for each and learn which it was.";
    error.message += ` Launched last, the latest first: ${last.join(", ") || "nothing"}.${advice}`;
    return error;
  }
}
