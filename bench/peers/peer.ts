/**
 * PyTorch on the same work, in the same run.
 *
 * @module
 */
import { fileURLToPath } from "node:url";

/** Figures by row name; empty when there is no Python with PyTorch. */
export type PeerFigures = Readonly<Record<string, number>>;

/**
 * Run `torch_bench.py` for one bench. `DENOTRON_PYTHON` names the Python to use, `python3` by default. Without PyTorch
 * there it says so on stderr and returns nothing.
 */
export function torchFigures(bench: string, threads: number): PeerFigures {
  const python = Deno.env.get("DENOTRON_PYTHON") ?? "python3";
  const script = fileURLToPath(new URL("./torch_bench.py", import.meta.url));
  let output;
  try {
    output = new Deno.Command(python, { args: [script, bench, String(threads)], stderr: "inherit" })
      .outputSync();
  } catch (error) {
    console.error(`peer: cannot run ${python} (${(error as Error).message}). Set DENOTRON_PYTHON.`);
    return {};
  }
  if (!output.success) {
    console.error(
      `peer: ${python} could not run PyTorch; its figures are left out. Set DENOTRON_PYTHON.`,
    );
    return {};
  }
  const lines = new TextDecoder().decode(output.stdout).trim().split("\n");
  return JSON.parse(lines.at(-1)!) as PeerFigures;
}
