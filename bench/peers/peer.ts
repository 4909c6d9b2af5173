/**
 * PyTorch on the same work, in the same run.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import type { GpuSizes } from "../gpu/sizes.ts";

/** Figures by row name; empty when there is no Python with PyTorch. */
export type PeerFigures = Readonly<Record<string, number>>;

/** Run `torch_bench.py` for one bench. */
export function torchFigures(bench: string, threads: number): PeerFigures {
  return runTorch<PeerFigures>("torch_bench.py", [bench, String(threads)]) ?? {};
}

/** Run `torch_gpu.py` on work of these sizes. */
export function torchGpuFigures(sizes: GpuSizes): PeerFigures {
  return runTorch<PeerFigures>("torch_gpu.py", [JSON.stringify(sizes)]) ?? {};
}

/**
 * Run a Python script of this folder; returns the JSON of its last line. `DENOTRON_PYTHON` names the Python to use,
 * `python3` by default. Without PyTorch there it says so on stderr and returns null.
 */
export function runTorch<T>(script: string, args: readonly string[]): T | null {
  const python = Deno.env.get("DENOTRON_PYTHON") ?? "python3";
  const path = fileURLToPath(new URL(script, import.meta.url));
  let output;
  try {
    output = new Deno.Command(python, { args: [path, ...args], stderr: "inherit" }).outputSync();
  } catch (error) {
    console.error(`peer: cannot run ${python} (${(error as Error).message}). Set DENOTRON_PYTHON.`);
    return null;
  }
  if (!output.success) {
    console.error(
      `peer: ${python} could not run PyTorch; its figures are left out. Set DENOTRON_PYTHON.`,
    );
    return null;
  }
  const lines = new TextDecoder().decode(output.stdout).trim().split("\n");
  return JSON.parse(lines.at(-1)!) as T;
}
