/**
 * Compiles the C kernels of all ops into one library on first use, and finds functions in it.
 *
 * @module
 */
import {
  compileLibrary,
  type Compiler,
  findCompiler,
  type Header,
  openLibrary,
  readSource,
  type Unit,
} from "../../ffi/mod.ts";
import type { DType } from "../dtype.ts";
import type { AnyOp, Kernel, ViewOp } from "../op.ts";
import * as ops from "../ops/mod.ts";

/** A compiled kernel; returns its status. */
export type NativeKernel = (slots: Deno.PointerValue) => number;

/** Element types that sources are compiled for. i32 only where the source says so. */
const variants: readonly { dtype: DType; flag: string; wanted(source: string): boolean }[] = [
  { dtype: "f32", flag: "-DREAL_F32", wanted: () => true },
  { dtype: "bf16", flag: "-DREAL_BF16", wanted: () => true },
  { dtype: "i32", flag: "-DREAL_I32", wanted: (source) => source.includes("REAL_I32") },
];

const runtime = new URL("./runtime.c", import.meta.url);

type Symbols = Record<string, NativeKernel | null>;

/** The kernels of all ops, compiled when the first one is needed. */
export class CpuKernels {
  #compiler: Compiler | null | undefined;
  #builtin: Symbols | null = null;
  #sources: ReadonlySet<string> = new Set();
  readonly #others = new Map<string, Symbols>();
  #threads = navigator.hardwareConcurrency;
  readonly #slots = new BigInt64Array(2);

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
    if (!Number.isInteger(count) || count < 1) {
      throw new RangeError(`threads: a whole number of at least 1 is needed (${count}).`);
    }
    this.#threads = count;
    if (this.#builtin) this.#setThreads();
  }

  /** The function of `kernel` for elements of `dtype`; null where there is no compiler or no such variant. */
  find(kernel: Kernel<unknown>, dtype: DType): NativeKernel | null {
    const compiler = this.#find();
    if (!compiler) return null;
    this.#builtin ??= this.#open(compiler);
    const symbols = this.#sources.has(kernel.source.href)
      ? this.#builtin
      : this.#foreign(compiler, kernel);
    return symbols[`${kernel.entry}_${dtype}`] ?? null;
  }

  /** Ask for huge pages where the kernels are loaded; without them it makes no difference. */
  adviseHugePages(address: number, bytes: number): void {
    if (!this.#builtin) return;
    this.#slots[0] = BigInt(address);
    this.#slots[1] = BigInt(bytes);
    this.#builtin["advise_huge_pages"]!(Deno.UnsafePointer.of(this.#slots));
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

  #open(compiler: Compiler): Symbols {
    const kernels = allOps().flatMap((op) => op.kernel ?? []);
    this.#sources = new Set(kernels.map((kernel) => kernel.source.href));
    const units = [{ name: "runtime.c", source: readSource(runtime) }, ...unitsOf(kernels)];
    this.#builtin = build("denotron", units, compiler);
    this.#setThreads();
    return this.#builtin;
  }

  /** The library of a kernel that is none of ours: an op that a user wrote. */
  #foreign(compiler: Compiler, kernel: Kernel<unknown>): Symbols {
    const key = `${kernel.source.href} ${kernel.instance}`;
    let symbols = this.#others.get(key);
    if (!symbols) this.#others.set(key, symbols = build("custom", unitsOf([kernel]), compiler));
    return symbols;
  }

  #setThreads(): void {
    this.#slots[0] = BigInt(this.#threads);
    this.#builtin!["set_threads"]!(Deno.UnsafePointer.of(this.#slots));
  }
}

/** Every op that comes with the library, those that only gradients call included. */
export function allOps(): readonly AnyOp[] {
  const named = (Object.values(ops) as (AnyOp | ViewOp)[]).filter((op) => "reference" in op);
  return named.flatMap((op) => [op, ...op.companions ?? []]);
}

/** One unit for each source and element type. Kernels that share a source are appended to it. */
function unitsOf(kernels: readonly Kernel<unknown>[]): Unit[] {
  const bySource = Map.groupBy(kernels, (kernel) => kernel.source.href);
  return [...bySource].flatMap(([href, family]) => {
    const instances = new Set(family.flatMap((kernel) => kernel.instance ?? []));
    const source = [readSource(new URL(href)), ...instances].join("\n") + "\n";
    const name = href.slice(href.lastIndexOf("/") + 1);
    return variants.filter((variant) => variant.wanted(source))
      .map(({ flag }) => ({ name, source, flags: [flag] }));
  });
}

function build(name: string, units: readonly Unit[], compiler: Compiler): Symbols {
  const headers = new Map<string, Header>();
  for (const { source } of units) collectHeaders(source, headers);
  const path = compileLibrary({ name, units, headers: [...headers.values()], compiler });
  // Optional, because a family of kernels may leave out some element types.
  const kernel = { parameters: ["pointer"], result: "i32", optional: true } as const;
  const table = Object.fromEntries(units.flatMap(entryPoints).map((entry) => [entry, kernel]));
  return openLibrary(path, table).symbols as unknown as Symbols;
}

/** Read the headers that a source includes, and those that they include. All lie beside the ops. */
function collectHeaders(source: string, found: Map<string, Header>): void {
  for (const [, name] of source.matchAll(/^#include "([^"]+)"/gm)) {
    if (found.has(name)) continue;
    const text = readSource(new URL(`../ops/${name}`, import.meta.url));
    found.set(name, { name, text });
    collectHeaders(text, found);
  }
}

/** Names of the functions that a unit defines. */
function entryPoints({ source, flags }: Unit): string[] {
  const dtype = flags?.[0].replace("-DREAL_", "").toLowerCase();
  const kernels = source.matchAll(/^(?:KERNEL|[A-Z_]+_KERNEL)\((\w+)/gm).map(([, name]) =>
    `${name}_${dtype}`
  );
  const plain = source.matchAll(/^int32_t (\w+)\(const uint64_t \*args\) \{/gm).map(([, name]) =>
    name
  );
  return [...kernels, ...plain];
}
