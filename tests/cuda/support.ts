/**
 * What the tests of the CUDA path share. They run where `DENOTRON_CUDA_DIR` or a driver offers a device: `deno task
 * test:cuda` sees to that.
 *
 * @module
 */
import { join } from "node:path";
import { exists } from "../../tools/files.ts";
import { LoadError, openLibrary } from "../../ffi/mod.ts";
import { CudaDriver } from "../../ffi/cuda/mod.ts";

/** Folder of the simulator; null on a real device. */
export const simulator: string | null = simulatorFolder();

/** Why there is no device to test on; null when there is one. */
export const missing: string | null = whyMissing();

function simulatorFolder(): string | null {
  const folder = Deno.env.get("DENOTRON_CUDA_DIR");
  return folder && exists(join(folder, "libcudasim.so")) ? folder : null;
}

function whyMissing(): string | null {
  if (simulator) return null;
  try {
    return new CudaDriver().deviceCount > 0 ? null : "no GPU";
  } catch (error) {
    return error instanceof LoadError ? "no driver" : (error as Error).message;
  }
}

/** Registers a test that needs a device; with `simulated`, one that needs the simulator. */
export function cudaTest(
  name: string,
  test: () => void | Promise<void>,
  { simulated = false }: { readonly simulated?: boolean } = {},
): void {
  const reason = missing ?? (simulated && !simulator ? "needs the simulator" : null);
  Deno.test({
    name: reason === null ? name : `${name} (skipped: ${reason})`,
    ignore: reason !== null,
    fn: test,
  });
}

/** Runs `body` with variables of the environment set, and the simulator as new afterwards. */
export function withEnvironment<T>(variables: Readonly<Record<string, string>>, body: () => T): T {
  const before = Object.keys(variables).map((name) => [name, Deno.env.get(name)] as const);
  for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
  try {
    return body();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
    resetSimulator();
  }
}

/** Makes the simulator forget that a kernel failed. */
function resetSimulator(): void {
  if (!simulator) return;
  const path = join(simulator, "libcudasim.so");
  const symbols = { cudasimReset: { parameters: [], result: "void" } } as const;
  openLibrary(path, symbols).symbols.cudasimReset();
}
