/**
 * Compiles the C kernels of all ops into one library on first use, and finds functions in it.
 *
 * @module
 */
import {
  compileLibrary,
  type Compiler,
  fetchSources,
  findCompiler,
  type Header,
  type Library,
  openLibrary,
  readSource,
  type Unit,
} from "../../ffi/mod.ts";
import type { DType } from "../dtype.ts";
import type { AnyOp, Kernel, ViewOp } from "../op.ts";
import * as ops from "../ops/mod.ts";

/** Address of a compiled kernel. */
export type NativeKernel = Deno.PointerObject;

/** Element types that sources are compiled for. i32 only where the source says so. */
const variants: readonly { dtype: DType; flag: string; wanted(source: string): boolean }[] = [
  { dtype: "f32", flag: "-DREAL_F32", wanted: () => true },
  { dtype: "bf16", flag: "-DREAL_BF16", wanted: () => true },
  { dtype: "i32", flag: "-DREAL_I32", wanted: (source) => source.includes("REAL_I32") },
];

const runtimeSource = new URL("./runtime.c", import.meta.url);
const runtimeSymbols = {
  invoke: { parameters: ["pointer", "pointer"], result: "i32" },
  set_threads: { parameters: ["i32"], result: "void" },
  advise_huge_pages: { parameters: ["pointer", "usize"], result: "void" },
  favour: { parameters: ["i32"], result: "void" },
} as const;

/** The system ends a process that asks for more threads than it has. */
const mostThreads = 256;

type Runtime = Library<typeof runtimeSymbols>["symbols"];
type Kernels = Record<string, NativeKernel | null>;

/** The kernels of all ops, compiled when the first one is needed. */
export class CpuKernels {
  #compiler: Compiler | null | undefined;
  #runtime: Runtime | null = null;
  #builtin: Kernels | null = null;
  #sources: ReadonlySet<string> = new Set();
  readonly #others = new Map<string, Kernels>();
  #threads = threadsFromEnvironment();

  /** What runs the ops, for people. */
  get description(): string {
    const compiler = this.#find();
    return compiler
      ? `${compiler.version}, ${compiler.flags.join(" ")}`
      : "reference implementations in TypeScript";
  }

  get threads(): number {
    return this.#threads;
  }

  set threads(count: number) {
    if (!Number.isInteger(count) || count < 1 || count > mostThreads) {
      throw new RangeError(
        `threads: a whole number from 1 to ${mostThreads} is needed (${count}).`,
      );
    }
    this.#threads = count;
    this.#openRuntime()?.set_threads(count);
  }

  /** Compile and load everything now rather than on the first call. */
  warm(): void {
    const compiler = this.#find();
    if (compiler) this.#builtin ??= this.#openBuiltin(compiler);
  }

  /** The kernel for elements of `dtype`; null where there is no compiler or no such variant. */
  find(kernel: Kernel<unknown>, dtype: DType): NativeKernel | null {
    const compiler = this.#find();
    if (!compiler) return null;
    this.#builtin ??= this.#openBuiltin(compiler);
    const kernels = this.#sources.has(kernel.source.href)
      ? this.#builtin
      : this.#openForeign(compiler, kernel);
    return kernels[`${kernel.entry}_${dtype}`] ?? null;
  }

  /** Run a kernel on an argument block; returns its status. */
  invoke(kernel: NativeKernel, slots: Deno.PointerValue): number {
    return this.#runtime!.invoke(kernel, slots);
  }

  /** Ask the system for huge pages; without a compiler there is no way to ask. */
  adviseHugePages(address: bigint, bytes: number): void {
    this.#openRuntime()?.advise_huge_pages(Deno.UnsafePointer.create(address), BigInt(bytes));
  }

  /** Asks the system to let a thread in soon after it wakes; without a compiler there is no way to ask. */
  favour(thread: number): void {
    this.#openRuntime()?.favour(thread);
  }

  #find(): Compiler | null {
    if (this.#compiler !== undefined) return this.#compiler;
    this.#compiler = findCompiler();
    if (!this.#compiler) {
      console.error(
        "denotron: no C compiler, ops run as their TypeScript references, which is slow. Install gcc or clang.",
      );
    }
    return this.#compiler;
  }

  #openRuntime(): Runtime | null {
    const compiler = this.#find();
    if (!compiler || this.#runtime) return this.#runtime;
    const units = [{ name: "runtime.c", source: readSource(runtimeSource) }];
    const path = compileLibrary({ name: "denotron-runtime", units, headers: [], compiler });
    limitSpinning();
    this.#runtime = openLibrary(path, runtimeSymbols).symbols;
    this.#runtime.set_threads(this.#threads);
    return this.#runtime;
  }

  #openBuiltin(compiler: Compiler): Kernels {
    const kernels = allOps().flatMap((op) => op.kernel ?? []);
    this.#sources = new Set(kernels.map((kernel) => kernel.source.href));
    this.#openRuntime();
    return openKernels("denotron", unitsOf(kernels), compiler);
  }

  /** The library of a kernel that is none of ours: an op that a user wrote. */
  #openForeign(compiler: Compiler, kernel: Kernel<unknown>): Kernels {
    const key = `${kernel.source.href} ${kernel.instance}`;
    let kernels = this.#others.get(key);
    if (!kernels) {
      this.#others.set(key, kernels = openKernels("custom", unitsOf([kernel]), compiler));
    }
    return kernels;
  }
}

/** `DENOTRON_THREADS`, or as many as the machine runs at once. */
function threadsFromEnvironment(): number {
  const given = Deno.env.get("DENOTRON_THREADS");
  if (given === undefined) return navigator.hardwareConcurrency;
  if (/^[1-9]\d{0,3}$/.test(given)) return Number(given);
  throw new RangeError(
    `threads: DENOTRON_THREADS is "${given}". Set it to a whole number of at least 1.`,
  );
}

/**
 * GNU OpenMP's threads wait for each other in a loop, for tens of milliseconds before they sleep. On a machine that does
 * other work too they then wait for threads that cannot run because of the waiting. It reads this when it is loaded.
 */
function limitSpinning(): void {
  if (Deno.env.has("OMP_WAIT_POLICY") || Deno.env.has("GOMP_SPINCOUNT")) return;
  Deno.env.set("GOMP_SPINCOUNT", "3000"); // about 0.2 ms
}

/** Every op that comes with the library, those that only gradients call included. */
export function allOps(): readonly AnyOp[] {
  const named = (Object.values(ops) as (AnyOp | ViewOp)[]).filter((op) => "reference" in op);
  return named.flatMap((op) => [op, ...op.companions ?? []]);
}

/** One unit for each source and element type. Kernels that share a source are appended to it. */
function unitsOf(kernels: readonly Kernel<unknown>[]): Unit[] {
  const bySource = Map.groupBy(kernels, (kernel) => kernel.source.href);
  fetchSources([...bySource.keys()].map((href) => new URL(href)));
  return [...bySource].flatMap(([href, family]) => {
    const instances = new Set(family.flatMap((kernel) => kernel.instance ?? []));
    const source = [readSource(new URL(href)), ...instances].join("\n") + "\n";
    const name = href.slice(href.lastIndexOf("/") + 1);
    return variants.filter((variant) => variant.wanted(source))
      .map(({ flag }) => ({ name, source, flags: [flag] }));
  });
}

function openKernels(name: string, units: readonly Unit[], compiler: Compiler): Kernels {
  const headers = new Map<string, Header>();
  for (const { source } of units) collectHeaders(source, headers);
  const path = compileLibrary({ name, units, headers: [...headers.values()], compiler });
  // Optional, because a family of kernels may leave out some element types.
  const address = { type: "pointer", optional: true } as const;
  const table = Object.fromEntries(units.flatMap(entryPoints).map((entry) => [entry, address]));
  return openLibrary(path, table).symbols as unknown as Kernels;
}

/** Read the headers that a source includes, and those that they include. All lie beside the ops. */
function collectHeaders(source: string, found: Map<string, Header>): void {
  const names = source.matchAll(/^#include "([^"]+)"/gm).map(([, name]) => name)
    .filter((name) => !found.has(name)).toArray();
  const place = (name: string): URL => new URL(`../ops/${name}`, import.meta.url);
  fetchSources(names.map(place));
  for (const name of names) {
    if (found.has(name)) continue;
    const text = readSource(place(name));
    found.set(name, { name, text });
    collectHeaders(text, found);
  }
}

/** Names of the kernels that a unit defines. */
function entryPoints({ source, flags = [] }: Unit): string[] {
  const dtype = flags[0].replace("-DREAL_", "").toLowerCase();
  return source.matchAll(/^(?:KERNEL|[A-Z_]+_KERNEL)\((\w+)/gm).map(([, name]) =>
    `${name}_${dtype}`
  ).toArray();
}
