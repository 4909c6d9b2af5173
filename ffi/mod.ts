/**
 * Native code: find a C compiler, compile kernels into a cached library, open it, and call it without allocating.
 *
 * ```ts
 * import { Arguments, check, compileLibrary, findCompiler, openLibrary, symbolTable } from "@denotron/denotron/ffi";
 * import assert from "node:assert/strict";
 *
 * const source = `#include <stdint.h>
 * int32_t add_i64(const uint64_t *args) {
 *   *(int64_t *)args[0] = (int64_t)args[1] + (int64_t)args[2];
 *   return 0;
 * }`;
 * const compiler = findCompiler();
 * if (compiler !== null) {
 *   const units = [{ name: "add.c", source }];
 *   using library = openLibrary(
 *     compileLibrary({ name: "example", units, headers: [], compiler }),
 *     symbolTable(["add_i64"]),
 *   );
 *   const sum = new BigInt64Array(1);
 *   const address = Number(Deno.UnsafePointer.value(Deno.UnsafePointer.of(sum)));
 *   const args = new Arguments().address(address).integer(40).integer(2);
 *   check(library.symbols.add_i64(args.pointer), "add_i64");
 *   assert.equal(sum[0], 42n);
 * }
 * ```
 *
 * This is the only part of the package that opens native libraries.
 *
 * @module
 */
export { Arguments } from "./args.ts";
export { cacheDirectory, CacheError, cpuIdentity, digest, workDirectory } from "./cache.ts";
export { type Compiler, findCompiler } from "./cc.ts";
export {
  CompileError,
  compileLibrary,
  type Header,
  type LibrarySource,
  type Unit,
} from "./compile.ts";
export {
  findLibrary,
  type KernelSymbol,
  type Library,
  type LibraryQuery,
  LoadError,
  openLibrary,
  symbolTable,
} from "./library.ts";
export { fetchSources, readSource } from "./source.ts";
export { check, NativeError, type StatusName } from "./status.ts";
