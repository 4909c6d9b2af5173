/**
 * What the machine can do at most: what figures of kernels and of training are compared with.
 *
 * @module
 */
import { join } from "node:path";
import {
  cacheDirectory,
  compileLibrary,
  type Compiler,
  cpuIdentity,
  digest,
  findCompiler,
  openLibrary,
  readSource,
} from "../ffi/mod.ts";
import { writeAtomically } from "./safetensors.ts";

/** Rates no kernel can pass, with all threads. */
export interface Ceilings {
  /** f32 fused multiply-adds, GFLOP/s. */
  readonly fmaGflops: number;
  /** bf16 dot-product instructions, GFLOP/s; 0 where there are none. */
  readonly bf16Gflops: number;
  /** bf16 matrix tiles, GFLOP/s; 0 where there are none. */
  readonly tileGflops: number;
  /** Reading memory, GB/s. */
  readonly readGBs: number;
  readonly threads: number;
}

const probe = { parameters: ["buffer"], result: "i32" } as const;
const symbols = { probe_fma: probe, probe_bf16: probe, probe_amx: probe, probe_read: probe };

/** Runs the probes of ceilings.c. */
export class Ceiling {
  readonly #library;

  /** Compiles the probes, unless that has been done before. */
  constructor(compiler: Compiler) {
    const source = readSource(new URL("./ceilings.c", import.meta.url));
    const units = [{ name: "ceilings.c", source }];
    this.#library = openLibrary(
      compileLibrary({ name: "ceilings", units, headers: [], compiler }),
      symbols,
    );
  }

  /** Measure on so many threads. */
  measure(threads: number): Ceilings {
    const run = (name: keyof typeof symbols): number => {
      const result = new Float64Array(1);
      const address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(result));
      this.#library.symbols[name](new BigUint64Array([address, BigInt(threads), 0n]));
      return result[0];
    };
    return {
      fmaGflops: run("probe_fma"),
      bf16Gflops: run("probe_bf16"),
      tileGflops: run("probe_amx"),
      readGBs: run("probe_read"),
      threads,
    };
  }
}

/**
 * The ceilings of this machine, measured once in a quarter of a second and then remembered in the cache; null without a C
 * compiler that has OpenMP, where there is nothing to compare with. Best measured while nothing else runs.
 */
export function machineCeilings(threads: number): Ceilings | null {
  const compiler = findCompiler();
  if (compiler === null || !compiler.flags.includes("-fopenmp")) return null; // the probes count threads
  const identity = [cpuIdentity(), compiler.version, ...compiler.flags, String(threads)];
  const path = join(cacheDirectory(), `ceilings-${digest(identity)}.json`);
  try {
    return JSON.parse(Deno.readTextFileSync(path)) as Ceilings;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const ceilings = new Ceiling(compiler).measure(threads);
  writeAtomically(path, (write) => write(new TextEncoder().encode(JSON.stringify(ceilings))));
  return ceilings;
}

/** The most GFLOP/s that products of a dtype can reach; 0 where nothing is known. */
export function peakGflops(ceilings: Ceilings, dtype: "f32" | "bf16"): number {
  const { fmaGflops, bf16Gflops, tileGflops } = ceilings;
  return dtype === "f32" ? fmaGflops : Math.max(fmaGflops, bf16Gflops, tileGflops);
}
