/**
 * What the machine can do at most, measured in the same run as what is compared with it.
 *
 * @module
 */
import { compileLibrary, findCompiler, openLibrary, readSource } from "../ffi/mod.ts";

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

/** Runs the probes of probe.c. Throws when there is no C compiler: there would be nothing to compare. */
export class Ceiling {
  readonly #library;

  constructor() {
    const compiler = findCompiler();
    if (!compiler) {
      throw new Error(
        "bench: no C compiler, so there are no kernels to measure. Install gcc or clang.",
      );
    }
    const units = [{ name: "probe.c", source: readSource(new URL("./probe.c", import.meta.url)) }];
    this.#library = openLibrary(
      compileLibrary({ name: "probe", units, headers: [], compiler }),
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
