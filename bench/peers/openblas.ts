/**
 * OpenBLAS on the same products, in the same run.
 *
 * @module
 */
import { findLibrary, LoadError, openLibrary } from "../../ffi/mod.ts";
import { best } from "../timing.ts";

const symbols = {
  openblas_set_num_threads: { parameters: ["i32"], result: "void" },
  cblas_sgemm: {
    // layout, transposes, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc
    parameters: [
      ...["i32", "i32", "i32", "i32", "i32", "i32", "f32"],
      ...["buffer", "i32", "buffer", "i32", "f32", "buffer", "i32"],
    ] as Deno.NativeType[],
    result: "void",
  },
} as const;

const rowMajor = 101, plain = 111, transposed = 112;

/** Measures f32 x·Wᵀ with OpenBLAS. */
export class OpenBlas {
  readonly #library;

  /** Throws LoadError where there is no OpenBLAS; `DENOTRON_OPENBLAS` names its file. */
  constructor() {
    assumeAvx512();
    const path = findLibrary({
      name: "OpenBLAS",
      variable: "DENOTRON_OPENBLAS",
      sonames: ["libopenblas.so.0", "libopenblas.so", "libopenblas.dylib"],
      hint: "Install libopenblas0-pthread.",
    });
    this.#library = openLibrary(path, symbols);
  }

  /** GFLOP/s of [m, k] @ [n, k]ᵀ, the fastest of several runs. */
  gflops(m: number, k: number, n: number, threads: number): number {
    const { openblas_set_num_threads, cblas_sgemm } = this.#library.symbols;
    openblas_set_num_threads(threads);
    const x = new Float32Array(m * k).fill(0.5), weight = new Float32Array(n * k).fill(0.25);
    const y = new Float32Array(m * n),
      work = 2 * m * k * n,
      repeats = Math.max(1, Math.round(2e8 / work));
    const seconds = best(() => {
      for (let i = 0; i < repeats; i++) {
        cblas_sgemm(rowMajor, plain, transposed, m, n, k, 1, x, k, weight, k, 0, y, n);
      }
    });
    return work * repeats / seconds / 1e9;
  }
}

/** Releases that do not know a new processor run five times slower on it than they can; tell them what it has. */
function assumeAvx512(): void {
  if (Deno.env.has("OPENBLAS_CORETYPE") || Deno.build.os !== "linux") return;
  if (Deno.readTextFileSync("/proc/cpuinfo").includes("avx512vl")) {
    Deno.env.set("OPENBLAS_CORETYPE", "SkylakeX");
  }
}

/** OpenBLAS, or null, said on stderr, where there is none. */
export function openBlas(): OpenBlas | null {
  try {
    return new OpenBlas();
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    console.error(
      "peer: no OpenBLAS, its figures are left out. Install libopenblas0-pthread, or set DENOTRON_OPENBLAS.",
    );
    return null;
  }
}
