/**
 * What there is on this machine, and what is made of it.
 *
 * @module
 */
import { cpus } from "node:os";
import { join } from "node:path";
import { cacheDirectory, type Compiler, findCompiler } from "../ffi/mod.ts";
import { device } from "../tensor/mod.ts";
import { compiledFeatures, cpuFeatures } from "./features.ts";
import { type GpuFindings, inspectGpu } from "./gpu.ts";

/** Everything that `doctor` tells, but for its self-test. */
export interface Findings {
  readonly system: {
    readonly os: string;
    readonly arch: string;
    readonly deno: string;
    readonly v8: string;
    readonly cpu: string;
    readonly threads: number;
    /** Instruction sets; null where the system does not tell. */
    readonly features: readonly string[] | null;
  };
  /** What compiles kernels; null when nothing does. */
  readonly compiler: Compiler | null;
  /** Whether kernels compile and load, or are not needed. */
  readonly kernelsOpen: boolean;
  readonly kernels: {
    /** How ops run, in words. */
    readonly description: string;
    /** Why there is no compiler; empty when there is one. */
    readonly why: string;
    /** Instruction sets that compiled kernels use. */
    readonly features: readonly string[];
    readonly threads: number;
  };
  /** Bytes. */
  readonly memory: { readonly total: number; readonly available: number; readonly limit: number };
  readonly cache: {
    readonly directory: string;
    readonly bytes: number;
    readonly writable: boolean;
  };
  /** The GPU, or why there is none. */
  readonly gpu: GpuFindings;
  /** What would help, a sentence each. */
  readonly advice: readonly string[];
}

/** Looks at the machine; compiles the kernels when that has not been done yet. */
export function inspect(): Findings {
  const compiler = compilerOrReason();
  const found = typeof compiler === "string" ? null : compiler;
  const opened = openKernels();
  const features = found !== null && opened === "" ? [...compiledFeatures(found)] : [];
  const cpu = cpuFeatures();
  const directory = cacheDirectory();
  const cache = { directory, bytes: bytesIn(directory), writable: isWritable(directory) };
  const { total, available } = Deno.systemMemoryInfo();
  const { threads } = device();
  return {
    system: {
      os: `${Deno.build.os} ${Deno.osRelease()}`,
      arch: Deno.build.arch,
      deno: Deno.version.deno,
      v8: Deno.version.v8,
      cpu: cpus()[0]?.model ?? "unknown CPU",
      threads: navigator.hardwareConcurrency,
      features: cpu,
    },
    compiler: found,
    kernelsOpen: opened === "",
    kernels: {
      description: opened === compiler
        ? "none, without a compiler"
        : opened || describeKernels(found, features, threads),
      why: typeof compiler === "string" ? compiler : "",
      features,
      threads: features.includes("OpenMP") ? threads : 1,
    },
    memory: { total, available, limit: device().memory.limit },
    cache,
    gpu: inspectGpu(),
    advice: advise(found, features, cpu, cache.writable),
  };
}

/** The compiler, or why there is none. */
function compilerOrReason(): Compiler | string {
  if (Deno.env.get("DENOTRON_CC") === "none") return "none, as DENOTRON_CC=none asks";
  if (Deno.build.os === "windows") return "none, kernels are not compiled on Windows";
  try {
    return findCompiler() ?? "none, no cc, gcc or clang in PATH that works";
  } catch (error) {
    return (error as Error).message;
  }
}

/** Compiles and loads the kernels; returns why that does not work, or nothing. */
function openKernels(): string {
  try {
    device().warm();
    return "";
  } catch (error) {
    return (error as Error).message.split("\n")[0];
  }
}

function describeKernels(
  compiler: Compiler | null,
  features: readonly string[],
  threads: number,
): string {
  if (compiler === null) return "TypeScript references instead, many times slower";
  const vectors = ["AVX-512", "AVX2", "NEON"].find((name) => features.includes(name));
  const amx = features.includes("AMX granted");
  const narrow = amx
    ? "bf16 products on AMX tiles"
    : features.includes("AVX512-BF16")
    ? "bf16 products by AVX512-BF16"
    : "bf16 products computed in f32";
  const parallel = features.includes("OpenMP") ? `${threads} threads (OpenMP)` : "1 thread";
  return `compiled, ${vectors ?? "no vector instructions"}, ${narrow}, ${parallel}`;
}

function advise(
  compiler: Compiler | null,
  features: readonly string[],
  cpu: readonly string[] | null,
  writable: boolean,
): string[] {
  const advice: string[] = [];
  if (compiler === null && Deno.build.os !== "windows") {
    advice.push("Install a C compiler (gcc or clang), or unset DENOTRON_CC.");
  }
  if (compiler !== null && !features.includes("OpenMP")) {
    advice.push(
      "Install the compiler's OpenMP library (libgomp or libomp-dev) to use all threads.",
    );
  }
  const unused = ["AVX2", "AVX-512", "AVX512-BF16", "AMX-BF16"]
    .filter((name) => cpu?.includes(name) && !features.includes(name));
  if (compiler !== null && unused.length > 0) {
    advice.push(`Use a newer compiler: this one makes no use of ${unused.join(", ")}.`);
  }
  if (features.includes("AMX-BF16") && !features.includes("AMX granted")) {
    advice.push(
      "The system refuses AMX tiles; a container may allow arch_prctl, or the kernel be too old.",
    );
  }
  if (!writable) advice.push("Set DENOTRON_CACHE to a folder that you can write.");
  return advice;
}

/** Bytes of the files in a folder and those below it; 0 when it is not there. */
function bytesIn(folder: string): number {
  try {
    return [...Deno.readDirSync(folder)].reduce((sum, { name, isDirectory, isFile }) => {
      const path = join(folder, name);
      return sum + (isDirectory ? bytesIn(path) : isFile ? Deno.statSync(path).size : 0);
    }, 0);
  } catch (error) {
    // Other processes tidy up here too.
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

function isWritable(folder: string): boolean {
  try {
    Deno.mkdirSync(folder, { recursive: true });
    Deno.removeSync(Deno.makeTempFileSync({ dir: folder, prefix: "working-" }));
    return true;
  } catch {
    return false;
  }
}
