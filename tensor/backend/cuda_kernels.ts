/**
 * Compiles CUDA kernels when they are first needed, and keeps what was compiled.
 *
 * @module
 */
import { join } from "node:path";
import { cacheDirectory, digest, readSource, workDirectory } from "../../ffi/mod.ts";
import type { CudaDevice, CudaDriver, Nvrtc } from "../../ffi/cuda/mod.ts";
import type { DType } from "../dtype.ts";
import type { CudaKernel, Kernel } from "../op.ts";
import { allOps } from "./cpu_kernels.ts";

const prelude = new URL("../ops/kernel.cuh", import.meta.url);

/** One source for one element type, as the compiler takes it. */
export interface CudaUnit {
  /** File name and element type, for people. */
  readonly name: string;
  /** The whole text, prelude included. */
  readonly source: string;
  /** Options but for the kind of device. */
  readonly options: readonly string[];
}

/** The unit that holds a kernel for an element type; null where its source has no such variant. */
function unitOf(
  kernel: Kernel<unknown>,
  { source }: CudaKernel<unknown>,
  dtype: DType,
): CudaUnit | null {
  if (dtype !== "f32" && dtype !== "bf16" && dtype !== "i32") return null;
  const text = withIncludes(readSource(source));
  if (dtype === "i32" && !text.includes("REAL_I32")) return null;
  const family = allOps().flatMap((op) =>
    op.kernel?.cuda && "source" in op.kernel.cuda && op.kernel.cuda.source.href === source.href
      ? op.kernel.instance ?? []
      : []
  );
  const instances = new Set([...family, ...(kernel.instance ? [kernel.instance] : [])]);
  return {
    name: `${source.href.slice(source.href.lastIndexOf("/") + 1)} (${dtype})`,
    source: [readSource(prelude), text, ...instances].join("\n") + "\n",
    options: ["--std=c++17", `-DREAL_${dtype.toUpperCase()}`],
  };
}

/** A source with the files that it includes, which lie beside the ops, in place of the lines that do so. */
function withIncludes(text: string): string {
  return text.replaceAll(
    /^#include "([^"]+)"$/gm,
    (_, name: string) => withIncludes(readSource(new URL(`../ops/${name}`, import.meta.url))),
  );
}

/** Every unit of the library: what a tool compiles that wants to see them all. */
export function allCudaUnits(): CudaUnit[] {
  const units = new Map<string, CudaUnit>();
  for (const { kernel } of allOps()) {
    if (!kernel?.cuda || !("source" in kernel.cuda)) continue;
    for (const dtype of ["f32", "bf16", "i32"] as const) {
      const unit = unitOf(kernel, kernel.cuda, dtype);
      if (unit) units.set(unit.name, unit);
    }
  }
  return [...units.values()];
}

/** The kernels of one op for one element type. */
export class KernelFamily {
  readonly #driver: CudaDriver;
  readonly #module: Deno.PointerObject;
  readonly #dtype: DType;
  readonly #functions = new Map<string, Deno.PointerObject>();
  readonly #allowed = new Map<string, number>(); // bytes of dynamic shared memory, beyond 48 KB

  /** Kernels of `module`. */
  constructor(driver: CudaDriver, module: Deno.PointerObject, dtype: DType) {
    this.#driver = driver;
    this.#module = module;
    this.#dtype = dtype;
  }

  /** A function by its name without the element type, which may ask for `shared` bytes of dynamic shared memory. */
  find(entry: string, shared: number): Deno.PointerObject {
    let found = this.#functions.get(entry);
    if (!found) {
      found = this.#driver.getFunction(this.#module, `${entry}_${this.#dtype}`);
      this.#functions.set(entry, found);
    }
    if (shared > 48 * 1024 && shared > (this.#allowed.get(entry) ?? 0)) {
      this.#driver.allowSharedMemory(found, shared);
      this.#allowed.set(entry, shared);
    }
    return found;
  }
}

/** Kernels for one device. */
export class CudaKernels {
  readonly #driver: CudaDriver;
  readonly #nvrtc: () => Nvrtc;
  readonly #device: CudaDevice;
  readonly #modules = new Map<string, Deno.PointerObject | null>();
  readonly #families = new Map<CudaKernel<unknown>, Map<DType, KernelFamily | null>>();

  /** Kernels that `nvrtc` compiles for `device`. */
  constructor(driver: CudaDriver, nvrtc: () => Nvrtc, device: CudaDevice) {
    this.#driver = driver;
    this.#nvrtc = nvrtc;
    this.#device = device;
  }

  /** The kernels of an op for elements of `dtype`; null where there are none. Compiles them. */
  family(
    kernel: Kernel<unknown>,
    cuda: CudaKernel<unknown>,
    dtype: DType,
  ): KernelFamily | null {
    let byType = this.#families.get(cuda);
    if (!byType) this.#families.set(cuda, byType = new Map());
    let family = byType.get(dtype);
    if (family === undefined) {
      const module = this.#module(kernel, cuda, dtype);
      family = module && new KernelFamily(this.#driver, module, dtype);
      byType.set(dtype, family);
    }
    return family;
  }

  #module(
    kernel: Kernel<unknown>,
    cuda: CudaKernel<unknown>,
    dtype: DType,
  ): Deno.PointerObject | null {
    const key = `${cuda.source.href} ${dtype}`;
    let module = this.#modules.get(key);
    if (module === undefined) {
      const unit = unitOf(kernel, cuda, dtype);
      module = unit && this.#driver.loadModule(this.#compiled(unit));
      this.#modules.set(key, module);
    }
    return module;
  }

  /** The code of a unit, from the cache where it was compiled before. */
  #compiled(unit: CudaUnit): Uint8Array<ArrayBuffer> {
    const nvrtc = this.#nvrtc(), cache = cacheDirectory();
    const options = [...unit.options, `--gpu-architecture=sm_${this.#device.capability}`];
    const key = digest([unit.source, ...options, nvrtc.version, nvrtc.path]);
    const file = join(cache, `cuda-${key}.cubin`);
    try {
      return Deno.readFileSync(file);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    const { image } = nvrtc.compile(unit.name, unit.source, options);
    const work = workDirectory(cache), draft = join(work, "cubin");
    Deno.writeFileSync(draft, image);
    Deno.renameSync(draft, file);
    Deno.removeSync(work);
    return image;
  }
}
