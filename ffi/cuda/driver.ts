import type { NativeError } from "../status.ts";
import { openLibrary } from "../library.ts";
import { driverSymbols } from "./driver_symbols.ts";
import { findCudaLibrary } from "./find.ts";
import { cString, driverHints, outInteger, outPointer, statusError, textAt } from "./status.ts";

/** Numbers of a device's attributes. */
const attributes = {
  multiprocessors: 16,
  sharedBytesPerBlock: 97,
  capabilityMajor: 75,
  capabilityMinor: 76,
} as const;

const maxDynamicSharedBytes = 8, nonBlocking = 1, disableTiming = 2, mappedPortable = 3;
/** While a stream is captured in this mode, this thread may still allocate memory. */
const relaxedCapture = 2;

/** What a device says of itself. */
export interface CudaDevice {
  /** Its number. */
  readonly ordinal: number;
  /** As its maker calls it. */
  readonly name: string;
  /** Compute capability times ten: 90 for 9.0. */
  readonly capability: number;
  /** How many multiprocessors it has. */
  readonly multiprocessors: number;
  /** Bytes of memory. */
  readonly memory: number;
  /** The most shared memory that one block can ask for, in bytes. */
  readonly sharedBytesPerBlock: number;
}

/** The size of a launch. */
export interface Grid {
  /** Blocks along x, y and z. */
  readonly blocks: readonly [number, number, number];
  /** Threads of a block. */
  readonly threads: number;
  /** Bytes of dynamic shared memory of a block. */
  readonly shared: number;
}

/** The CUDA driver. Opening it loads libcuda and starts it; every call that fails is an error. */
export class CudaDriver {
  /** Where it was found. */
  readonly path: string;
  /** The newest CUDA that it knows: 13000 for 13.0. */
  readonly version: number;
  readonly #c: Deno.StaticForeignLibraryInterface<typeof driverSymbols>;

  /**
   * Finds, loads and starts the driver.
   *
   * @throws {LoadError} When there is none.
   * @throws {NativeError} When it does not start, as on a machine without a GPU.
   */
  constructor(path: string = findCudaLibrary("driver")) {
    this.path = path;
    this.#c = openLibrary(path, driverSymbols).symbols;
    this.check(this.#c.cuInit(0), "cuInit");
    this.version = outInteger((out) =>
      this.check(this.#c.cuDriverGetVersion(out), "cuDriverGetVersion")
    );
  }

  /** Throws unless a call succeeded. */
  check(status: number, call: string): void {
    if (status !== 0) throw this.error(status, call);
  }

  /** The error for a status of a call. */
  error(status: number, call: string): NativeError {
    const name = new BigUint64Array(1), text = new BigUint64Array(1);
    this.#c.cuGetErrorName(status, name);
    this.#c.cuGetErrorString(status, text);
    const [first, second] = [name, text].map(([at]) => textAt(Deno.UnsafePointer.create(at)));
    return statusError(call, status, first, second, driverHints);
  }

  /** How many devices there are. */
  get deviceCount(): number {
    return outInteger((out) => this.check(this.#c.cuDeviceGetCount(out), "cuDeviceGetCount"));
  }

  /** Describes device `ordinal`. */
  device(ordinal: number): CudaDevice {
    const c = this.#c;
    const id = outInteger((out) => this.check(c.cuDeviceGet(out, ordinal), "cuDeviceGet"));
    const attribute = (number: number): number =>
      outInteger((out) =>
        this.check(c.cuDeviceGetAttribute(out, number, id), "cuDeviceGetAttribute")
      );
    const name = new Uint8Array(256);
    this.check(c.cuDeviceGetName(name, name.length, id), "cuDeviceGetName");
    return {
      ordinal: id,
      name: new TextDecoder().decode(name.subarray(0, name.indexOf(0))),
      capability: 10 * attribute(attributes.capabilityMajor) +
        attribute(attributes.capabilityMinor),
      multiprocessors: attribute(attributes.multiprocessors),
      memory: outInteger((out) =>
        this.check(c.cuDeviceTotalMem_v2(out, id), "cuDeviceTotalMem_v2")
      ),
      sharedBytesPerBlock: attribute(attributes.sharedBytesPerBlock),
    };
  }

  /** Makes a device's primary context, which cuBLAS and the others share, current on this thread. */
  useDevice(ordinal: number): void {
    const context = outPointer((out) =>
      this.check(this.#c.cuDevicePrimaryCtxRetain(out, ordinal), "cuDevicePrimaryCtxRetain")
    );
    this.check(this.#c.cuCtxSetCurrent(context), "cuCtxSetCurrent");
  }

  /** Bytes of the current device's memory that nobody uses. */
  get freeMemory(): number {
    const total = new BigUint64Array(1);
    return outInteger((out) => this.check(this.#c.cuMemGetInfo_v2(out, total), "cuMemGetInfo_v2"));
  }

  /** Device memory. Returns its address. Throws NativeError when there is not as much. */
  allocate(bytes: number): number {
    return outInteger((out) =>
      this.check(this.#c.cuMemAlloc_v2(out, BigInt(bytes)), "cuMemAlloc_v2")
    );
  }

  /** Gives device memory back, after all work that uses it. */
  free(address: number): void {
    this.check(this.#c.cuMemFree_v2(Deno.UnsafePointer.create(BigInt(address))), "cuMemFree_v2");
  }

  /** Memory of the host that the device reads and writes directly, as JavaScript sees it. */
  allocateHost(bytes: number): { readonly address: number; readonly buffer: ArrayBuffer } {
    const pointer = outPointer((out) =>
      this.check(this.#c.cuMemHostAlloc(out, BigInt(bytes), mappedPortable), "cuMemHostAlloc")
    );
    return {
      address: Number(Deno.UnsafePointer.value(pointer)),
      buffer: Deno.UnsafePointerView.getArrayBuffer(pointer, bytes),
    };
  }

  /** Gives memory of the host back, after all work that uses it; nobody may look at its buffer any more. */
  freeHost(address: number): void {
    this.check(this.#c.cuMemFreeHost(Deno.UnsafePointer.create(BigInt(address))), "cuMemFreeHost");
  }

  /** Starts a copy from the host's memory, which must stay as it is until the stream has come there. */
  copyToDevice(to: number, from: number, bytes: number, stream: Deno.PointerObject): void {
    this.check(
      this.#c.cuMemcpyHtoDAsync_v2(
        Deno.UnsafePointer.create(BigInt(to)),
        Deno.UnsafePointer.create(BigInt(from)),
        BigInt(bytes),
        stream,
      ),
      "cuMemcpyHtoDAsync_v2",
    );
  }

  /** Starts a copy to the host's memory, which holds the bytes once the stream has come there. */
  copyToHost(to: number, from: number, bytes: number, stream: Deno.PointerObject): void {
    this.check(
      this.#c.cuMemcpyDtoHAsync_v2(
        Deno.UnsafePointer.create(BigInt(to)),
        Deno.UnsafePointer.create(BigInt(from)),
        BigInt(bytes),
        stream,
      ),
      "cuMemcpyDtoHAsync_v2",
    );
  }

  /** A new stream that does not wait for the default one. */
  createStream(): Deno.PointerObject {
    return outPointer((out) =>
      this.check(this.#c.cuStreamCreate(out, nonBlocking), "cuStreamCreate")
    );
  }

  /** Waits until a stream has done everything it was given; returns the status. */
  synchronize(stream: Deno.PointerObject): number {
    return this.#c.cuStreamSynchronize(stream);
  }

  /** Whether a stream has done everything it was given: 0, 600 for not yet, or the status of what failed. */
  query(stream: Deno.PointerObject): number {
    return this.#c.cuStreamQuery(stream);
  }

  /** Starts a copy within the device's memory. */
  copyOnDevice(to: number, from: number, bytes: number, stream: Deno.PointerObject): void {
    this.check(
      this.#c.cuMemcpyDtoDAsync_v2(
        Deno.UnsafePointer.create(BigInt(to)),
        Deno.UnsafePointer.create(BigInt(from)),
        BigInt(bytes),
        stream,
      ),
      "cuMemcpyDtoDAsync_v2",
    );
  }

  /** A new event, which notes the time when it happens if it is `timed`. */
  createEvent({ timed = false }: { readonly timed?: boolean } = {}): Deno.PointerObject {
    return outPointer((out) =>
      this.check(this.#c.cuEventCreate(out, timed ? 0 : disableTiming), "cuEventCreate")
    );
  }

  /** Has an event happen when the stream comes there. */
  recordEvent(event: Deno.PointerObject, stream: Deno.PointerObject): void {
    this.check(this.#c.cuEventRecord(event, stream), "cuEventRecord");
  }

  /** Waits until an event has happened. */
  awaitEvent(event: Deno.PointerObject): void {
    this.check(this.#c.cuEventSynchronize(event), "cuEventSynchronize");
  }

  /** Seconds from one timed event to another; both have happened. The device counts in half microseconds. */
  secondsBetween(start: Deno.PointerObject, end: Deno.PointerObject): number {
    const milliseconds = new Float32Array(1);
    const status = this.#c.cuEventElapsedTime(milliseconds, start, end);
    this.check(status, "cuEventElapsedTime");
    return milliseconds[0] / 1000;
  }

  /** Loads compiled kernels. */
  loadModule(image: Uint8Array<ArrayBuffer>): Deno.PointerObject {
    return outPointer((out) =>
      this.check(this.#c.cuModuleLoadData(out, image), "cuModuleLoadData")
    );
  }

  /** A kernel of a module by its name. */
  getFunction(module: Deno.PointerObject, name: string): Deno.PointerObject {
    return outPointer((out) =>
      this.check(
        this.#c.cuModuleGetFunction(out, module, cString(name)),
        `cuModuleGetFunction(${name})`,
      )
    );
  }

  /** Lets a kernel ask for more than 48 KB of dynamic shared memory. */
  allowSharedMemory(kernel: Deno.PointerObject, bytes: number): void {
    this.check(
      this.#c.cuFuncSetAttribute(kernel, maxDynamicSharedBytes, bytes),
      "cuFuncSetAttribute",
    );
  }

  /** Starts a kernel; returns the status. The parameters are copied before it returns. */
  launch(
    kernel: Deno.PointerObject,
    { blocks: [x, y, z], threads, shared }: Grid,
    stream: Deno.PointerObject,
    parameters: Deno.PointerObject,
  ): number {
    return this.#c.cuLaunchKernel(kernel, x, y, z, threads, 1, 1, shared, stream, parameters, null);
  }

  /** What a stream is given from now on is not done, but becomes a graph. */
  beginCapture(stream: Deno.PointerObject): void {
    const status = this.#c.cuStreamBeginCapture_v2(stream, relaxedCapture);
    this.check(status, "cuStreamBeginCapture_v2");
  }

  /** The graph of what a stream was given since `beginCapture`. Throws NativeError when one of the calls was not allowed. */
  endCapture(stream: Deno.PointerObject): Deno.PointerObject {
    return outPointer((out) =>
      this.check(this.#c.cuStreamEndCapture(stream, out), "cuStreamEndCapture")
    );
  }

  /** How many launches and copies a graph is made of. */
  graphSize(graph: Deno.PointerObject): number {
    return outInteger((out) =>
      this.check(this.#c.cuGraphGetNodes(graph, null, out), "cuGraphGetNodes")
    );
  }

  /** A graph made ready to be launched; it does not need the other any more. */
  instantiateGraph(graph: Deno.PointerObject): Deno.PointerObject {
    return outPointer((out) =>
      this.check(
        this.#c.cuGraphInstantiateWithFlags(out, graph, 0n),
        "cuGraphInstantiateWithFlags",
      )
    );
  }

  /** Starts all of a graph that was made ready, in order; returns the status. */
  launchGraph(executable: Deno.PointerObject, stream: Deno.PointerObject): number {
    return this.#c.cuGraphLaunch(executable, stream);
  }

  /** Gives a graph back. */
  destroyGraph(graph: Deno.PointerObject): void {
    this.check(this.#c.cuGraphDestroy(graph), "cuGraphDestroy");
  }

  /** Gives a graph back that was made ready. */
  destroyExecutable(executable: Deno.PointerObject): void {
    this.check(this.#c.cuGraphExecDestroy(executable), "cuGraphExecDestroy");
  }
}
