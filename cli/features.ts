/**
 * Which instruction sets compiled kernels use.
 *
 * @module
 */
import {
  Arguments,
  compileLibrary,
  type Compiler,
  openLibrary,
  readSource,
  symbolTable,
} from "../ffi/mod.ts";

/** Instruction sets, in the order of the bits that `doctor_probe.c` gives. */
const names = [
  "OpenMP",
  "AVX2",
  "FMA",
  "AVX-512",
  "AVX512-BF16",
  "AMX-BF16",
  "AMX granted",
  "NEON",
];

/** What a compiler uses on this machine with its flags, by the names above. Throws CompileError or CacheError. */
export function compiledFeatures(compiler: Compiler): ReadonlySet<string> {
  const source = readSource(new URL("./doctor_probe.c", import.meta.url));
  const units = [{ name: "doctor_probe.c", source }];
  using library = openLibrary(
    compileLibrary({ name: "denotron-doctor", units, headers: [], compiler }),
    symbolTable(["probe_features"]),
  );
  const found = new BigUint64Array(1);
  const address = Number(Deno.UnsafePointer.value(Deno.UnsafePointer.of(found)));
  library.symbols.probe_features(new Arguments().address(address).pointer);
  return new Set(names.filter((_, bit) => (found[0] >> BigInt(bit) & 1n) === 1n));
}

/** Instruction sets of the CPU that matter here, as the operating system reports them; null where it does not. */
export function cpuFeatures(): string[] | null {
  const known = {
    avx2: "AVX2",
    fma: "FMA",
    avx512f: "AVX-512",
    avx512_bf16: "AVX512-BF16",
    avx512_vnni: "AVX512-VNNI",
    amx_bf16: "AMX-BF16",
    asimd: "NEON",
    bf16: "BF16",
  };
  try {
    const lines = Deno.readTextFileSync("/proc/cpuinfo").split("\n");
    const flags = lines.find((line) => /^(flags|Features)\s*:/.test(line))?.split(/[\s:]+/) ?? [];
    return Object.entries(known).filter(([flag]) => flags.includes(flag)).map(([, name]) => name);
  } catch {
    return null;
  }
}
