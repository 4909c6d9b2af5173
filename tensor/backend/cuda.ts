/**
 * A GPU by way of CUDA: memory from a pool, ops as kernels that NVRTC compiles on first use, products by cuBLAS. All work
 * runs in order on one stream, so memory that is given back can be handed out again at once.
 *
 * @module
 */
import { type CudaDevice, CudaDriver } from "../../ffi/cuda/mod.ts";
import { bytesOf } from "../dtype.ts";
import { DeviceError } from "../errors.ts";
import { isContiguous } from "../layout.ts";
import type { AnyOp, CudaKernel, MatrixProduct, ScratchProduct, View } from "../op.ts";
import { addressOf } from "../ops/address.ts";
import { fill } from "../ops/fill.ts";
import { Storage } from "../storage.ts";
import type { Backend, GraphSetting } from "./backend.ts";
import { type AttentionDevice, CudaAttention, type CudnnSetting } from "./cuda_attention.ts";
import { type CudaGraph, GraphRecorder } from "./cuda_graph.ts";
import { CudaKernels, type KernelFamily } from "./cuda_kernels.ts";
import { CudaLauncher } from "./cuda_launcher.ts";
import { CudaLibraries } from "./cuda_libraries.ts";
import { checkAttention } from "./cudnn_check.ts";
import { type BlockSource, deviceSegment, ExactBlocks, StagingRing } from "./cuda_memory.ts";
import { gemmOf, hasProducts, isMultipliable } from "./cuda_product.ts";
import { GraphBlocks, type GraphMemory } from "./graph_memory.ts";
import { type MemoryStats, Pool } from "./pool.ts";
import { isNothing, kernelType, withReadable } from "./readable.ts";
import { type HostMemory, reachOf, runReference } from "./reference.ts";

const oldestCapability = 80;
/** The first with products of 8-bit floats. */
const fp8Capability = 89;

/** What was found and chosen to run on a GPU. */
export interface CudaDescription {
  /** The device. */
  readonly device: CudaDevice;
  /** The driver's file, and the newest CUDA that it knows. */
  readonly driver: { readonly path: string; readonly version: number };
  /** The compiler's file and version. */
  readonly nvrtc: { readonly path: string; readonly version: string };
  /** cuBLAS's file and version. */
  readonly cublas: { readonly path: string; readonly version: number };
  /** Whether work that repeats is captured as graphs. */
  readonly graphs: GraphSetting;
  /** How attention is computed. */
  readonly attention: CudaAttentionDescription;
  /** cuBLASLt's file and version, which multiplies 8-bit floats; null where the device cannot. */
  readonly cublasLt: { readonly path: string; readonly version: number } | null;
}

/** How a GPU computes attention. */
export interface CudaAttentionDescription {
  /** What `DENOTRON_CUDNN` asks for. */
  readonly setting: CudnnSetting;
  /** cuDNN's file and version; null when our own kernels compute all of it. */
  readonly cudnn: { readonly path: string; readonly version: number } | null;
  /** Why cuDNN is not used; empty when it is. */
  readonly why: string;
}

/** Graphs are used unless `DENOTRON_CUDA_GRAPHS` is 0, or every kernel is waited for. */
function graphSetting(debug: boolean): GraphSetting {
  if (Deno.env.get("DENOTRON_CUDA_GRAPHS") === "0") {
    return { enabled: false, why: "DENOTRON_CUDA_GRAPHS is 0" };
  }
  return debug
    ? { enabled: false, why: "DENOTRON_CUDA_DEBUG waits for each kernel" }
    : { enabled: true, why: "" };
}

/** A GPU as a device. */
export class CudaBackend implements Backend {
  readonly name = "cuda";
  readonly #driver: CudaDriver;
  readonly #device: CudaDevice;
  readonly #stream: Deno.PointerObject;
  readonly #libraries: CudaLibraries;
  readonly #pool: BlockSource;
  readonly #blocks: GraphBlocks;
  readonly #staging: StagingRing;
  readonly #launcher: CudaLauncher;
  readonly #kernels: CudaKernels;
  readonly #recorder: GraphRecorder;
  readonly #attention: CudaAttention;
  /** Whether work that repeats is captured as graphs. */
  readonly graphs: GraphSetting;
  readonly #onHost = new Set<string>(); // ops of which was said that they run there
  #timer: readonly [start: Deno.PointerObject, end: Deno.PointerObject] | null = null;

  /**
   * Opens device `ordinal`.
   *
   * Throws LoadError without a driver, NativeError when it does not start, DeviceError for a device that is too old.
   */
  constructor(ordinal = 0) {
    const debug = Deno.env.get("DENOTRON_CUDA_DEBUG") === "1";
    this.graphs = graphSetting(debug);
    const driver = this.#driver = new CudaDriver();
    this.#device = driver.device(ordinal);
    const { name, capability } = this.#device;
    if (capability < oldestCapability) {
      throw new DeviceError(
        `device: ${name} is too old, compute capability ${capability / 10} (${
          oldestCapability / 10
        } is needed). Use "cpu".`,
      );
    }
    driver.useDevice(ordinal);
    this.#stream = driver.createStream();
    this.#libraries = new CudaLibraries(driver, this.#stream);
    const limit = 0.95 * driver.freeMemory;
    this.#pool = debug ? new ExactBlocks(driver, limit) : new Pool({
      allocate: (bytes) => deviceSegment(driver, bytes),
      release: ({ address }) => driver.free(address),
    }, limit);
    this.#staging = new StagingRing(driver, this.#stream);
    this.#launcher = new CudaLauncher(driver, this.#stream, debug);
    this.#kernels = new CudaKernels(driver, () => this.#libraries.nvrtc, this.#device);
    this.#blocks = new GraphBlocks(this.#pool);
    this.#recorder = new GraphRecorder(driver, this.#stream, this.#launcher, this.#blocks);
    this.#attention = new CudaAttention(this.#attentionDevice());
  }

  /** Figures of its memory, in bytes. */
  get memory(): MemoryStats {
    return this.#pool.stats;
  }

  /** The most memory it may reserve, in bytes; 95 % of what is free by default. Throws RangeError for less than 0. */
  set memoryLimit(bytes: number) {
    if (!(bytes >= 0)) throw new RangeError(`memoryLimit: a number of bytes is needed (${bytes}).`);
    this.#pool.limit = bytes;
  }

  /** Start measuring the peak of memory in use anew. */
  resetPeak(): void {
    this.#pool.resetPeak();
  }

  /** Give cached memory back to the device. Returns the number of bytes. */
  trim(): number {
    return this.#pool.trim();
  }

  /** Whether it multiplies 8-bit floats. */
  get hasFp8(): boolean {
    return this.#device.capability >= fp8Capability;
  }

  /** Where all work runs, in order. */
  get stream(): Deno.PointerObject {
    return this.#stream;
  }

  /** What runs the ops. Loads the compiler and cuBLAS. */
  get description(): CudaDescription {
    const { path, version } = this.#driver;
    const compiler = this.#libraries.nvrtc, cublas = this.#libraries.cublas;
    return {
      device: this.#device,
      driver: { path, version },
      nvrtc: { path: compiler.path, version: compiler.version },
      cublas: { path: cublas.path, version: cublas.version },
      graphs: this.graphs,
      attention: this.#describeAttention(),
      cublasLt: this.#describeFp8(),
    };
  }

  #describeFp8(): CudaDescription["cublasLt"] {
    if (!this.hasFp8) return null;
    const { path, version } = this.#libraries.cublasLt;
    return { path, version };
  }

  #describeAttention(): CudaAttentionDescription {
    const { setting } = this.#attention;
    if (setting === "never") return { setting, cudnn: null, why: "DENOTRON_CUDNN is 0" };
    const { cudnn, why } = this.#attention;
    return { setting, cudnn: cudnn && { path: cudnn.path, version: cudnn.version }, why };
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
   * A graph of what `body` launches, all of which must have run before, so that kernels are loaded. Nothing is computed
   * until the graph is replayed. What the body makes lies in `memory`; numbers that it takes from the host are the same in
   * each replay. Throws CaptureError when the body reads values, or does what no graph can hold.
   */
  capture<T>(memory: GraphMemory, body: () => T): CudaGraph<T> {
    void this.#libraries.cublas; // starting it is not possible while a graph is captured
    return this.#recorder.capture(memory, body);
  }

  write(to: Storage, offset: number, from: Uint8Array): void {
    if (this.#recorder.write(to, offset, from)) return;
    const ring = this.#staging;
    for (let start = 0; start < from.length; start += ring.most) {
      const part = from.subarray(start, start + ring.most);
      const staging = ring.reserve(part.length);
      staging.bytes.set(part);
      const address = to.address + offset + start;
      this.#driver.copyToDevice(address, staging.address, part.length, this.#stream);
    }
  }

  read(from: Storage, offset: number, to: Uint8Array): void {
    this.#blocks.forbid("values are read");
    const ring = this.#staging;
    for (let start = 0; start < to.length; start += ring.most) {
      const part = to.subarray(start, start + ring.most);
      const staging = ring.reserve(part.length);
      const address = from.address + offset + start;
      this.#driver.copyToHost(staging.address, address, part.length, this.#stream);
      this.#launcher.synchronize();
      part.set(staging.bytes);
    }
  }

  run(op: AnyOp, inputs: readonly View[], outputs: readonly View[], params: unknown): void {
    if (isNothing(outputs)) return;
    this.#recorder.hold(inputs);
    this.#recorder.hold(outputs);
    const cuda = op.kernel?.cuda;
    if (!cuda) return this.#runOnHost(op, inputs, outputs, params);
    if ("calls" in cuda) {
      for (const call of cuda.calls(inputs, outputs, params)) {
        this.run(call.op, call.inputs, call.outputs, call.params);
      }
    } else if ("product" in cuda) {
      if (!inputs.every(({ dtype }) => hasProducts(dtype))) {
        return this.#runOnHost(op, inputs, outputs, params);
      }
      const reads = op.kernel!.strided ? isMultipliable : isContiguous;
      withReadable(this, inputs, reads, (readable) => {
        this.#multiply(cuda.product(readable, outputs, params));
      });
    } else {
      this.#runKernel(op, cuda, inputs, outputs, params);
    }
  }

  /** Copies bytes between tensors' memory without a kernel, as fast as the device can. */
  copy(to: Storage, from: Storage, bytes: number): void {
    this.#blocks.forbid("memory is copied without a kernel");
    this.#driver.copyOnDevice(to.address, from.address, bytes, this.#stream);
  }

  /** Seconds that the device takes for what `work` launches, gaps between launches included. Waits for it. */
  seconds(work: () => void): number {
    this.#blocks.forbid("time is measured");
    const [start, end] = this.#timer ??= [this.#timedEvent(), this.#timedEvent()];
    this.#driver.recordEvent(start, this.#stream);
    work();
    this.#driver.recordEvent(end, this.#stream);
    this.#launcher.synchronize();
    return this.#driver.secondsBetween(start, end);
  }

  synchronize(): Promise<void> {
    this.#blocks.forbid("the device is waited for");
    return this.#launcher.settle();
  }

  #timedEvent(): Deno.PointerObject {
    return this.#driver.createEvent({ timed: true });
  }

  #attentionDevice(): AttentionDevice {
    const blocks = this.#blocks;
    return {
      open: () => this.#libraries.openCudnn(),
      check: (compute) => checkAttention(this, compute),
      take: (bytes) => blocks.take(bytes),
      give: (block) => blocks.give(block),
      wait: () => this.#launcher.synchronize(),
      get capturing() {
        return blocks.capturing;
      },
    };
  }

  #runKernel(
    op: AnyOp,
    cuda: CudaKernel<unknown>,
    inputs: readonly View[],
    outputs: readonly View[],
    params: unknown,
  ): void {
    const kernel = op.kernel!, dtype = kernelType(kernel, inputs, outputs);
    const family = this.#kernels.family(kernel, cuda, dtype);
    if (!family) return this.#runOnHost(op, inputs, outputs, params);
    const { strided = false } = kernel;
    const reads = typeof strided === "function" ? strided : strided ? () => true : isContiguous;
    withReadable(this, inputs, reads, (readable) => {
      const launch = (): void => this.#launch(op, cuda, family, readable, outputs, params);
      const attention = cuda.attention?.(readable, outputs, params);
      if (!attention || !this.#attention.run(attention, launch)) launch();
    });
  }

  #launch(
    op: AnyOp,
    cuda: CudaKernel<unknown>,
    family: KernelFamily,
    inputs: readonly View[],
    outputs: readonly View[],
    params: unknown,
  ): void {
    const kernel = op.kernel!, bytes = cuda.scratch?.(inputs, outputs, params) ?? 0;
    const scratch = bytes > 0 ? this.#blocks.take(bytes) : null;
    const at = scratch ? scratch.segment.address + scratch.offset : 0;
    try {
      kernel.arguments(this.#launcher.arguments, inputs, outputs, params);
      for (const launch of cuda.launches(inputs, outputs, params)) {
        if ("weights" in launch) {
          this.#multiplyFp8(op.name, launch, at);
          continue;
        }
        const { entry = kernel.entry, shared = 0 } = launch;
        this.#launcher.launch(op.name, family.find(entry, shared), launch, at);
      }
    } finally {
      if (scratch) this.#blocks.give(scratch);
    }
  }

  #multiplyFp8(op: string, { weights, rows, x, y }: ScratchProduct, scratch: number): void {
    const { name, capability } = this.#device;
    if (capability < fp8Capability) {
      throw new DeviceError(
        `${op}: ${name} has no products of 8-bit floats, compute capability ${capability / 10} (${
          fp8Capability / 10
        } is needed). Use int8 or bf16.`,
      );
    }
    const [outs, width] = weights.shape, at = { x: scratch + x, y: scratch + y };
    this.#libraries.cublasLt.multiply({ outs, rows, width, weights: addressOf(weights), ...at });
  }

  #multiply(product: MatrixProduct): void {
    const { a, c, accumulate } = product;
    if (a.shape.at(-1) !== 0) return this.#libraries.cublas.multiply(gemmOf(product));
    if (!accumulate) this.run(fill, [c], [c], { value: 0 }); // a product of nothing
  }

  /** Runs the definition of an op on copies in the host's memory. */
  #runOnHost(op: AnyOp, inputs: readonly View[], outputs: readonly View[], params: unknown): void {
    const types = inputs.map(({ dtype }) => dtype).join(", ");
    if (!types.includes("f64") && !this.#onHost.has(op.name)) {
      this.#onHost.add(op.name);
      console.error(
        `denotron: ${op.name} of ${types} has no CUDA kernel and runs on the CPU, which is slow.`,
      );
    }
    runReference(op, inputs, outputs, params, this.#copies());
  }

  /** Copies of views for a reference to work on, written back when it has changed them. */
  #copies(): HostMemory {
    const copies = new Map<View, ArrayBuffer>();
    return {
      open: (view) => {
        let buffer = copies.get(view);
        if (!buffer) {
          copies.set(view, buffer = new ArrayBuffer(reachOf(view) * bytesOf(view.dtype)));
          this.read(view.storage, view.offset * bytesOf(view.dtype), new Uint8Array(buffer));
        }
        return { buffer, start: 0 };
      },
      close: (view) => {
        const bytes = new Uint8Array(copies.get(view)!);
        this.write(view.storage, view.offset * bytesOf(view.dtype), bytes);
      },
    };
  }
}
