/**
 * `deno task bench dispatch|gemm|attention|train-step [--json] [--peer]`: measures this machine's ceilings and our kernels
 * in one run; `--peer` runs PyTorch on the same work beside them.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { attention } from "./attention.ts";
import { findCompiler } from "../ffi/mod.ts";
import { Ceiling, type Ceilings } from "../tensor/ceilings.ts";
import { dispatch } from "./dispatch.ts";
import { gemm } from "./gemm.ts";
import { type PeerFigures, torchFigures } from "./peers/peer.ts";
import { printReport, type Row } from "./report.ts";
import { trainStep } from "./train_step.ts";

const benches: Record<string, (ceilings: readonly Ceilings[], peer: PeerFigures) => Row[]> = {
  dispatch,
  gemm,
  attention,
  "train-step": trainStep,
};
const usage = `usage: deno task bench ${Object.keys(benches).join("|")} [--json] [--peer]`;

function main(): number {
  let parsed;
  try {
    parsed = parseArgs({
      args: Deno.args.filter((arg) => arg !== "--"),
      allowPositionals: true,
      options: { json: { type: "boolean" }, peer: { type: "boolean" } },
    });
  } catch (error) {
    console.error(`bench: ${(error as Error).message}\n${usage}`);
    return 2;
  }
  const { positionals: [name], values: { json, peer } } = parsed;
  const bench = benches[name ?? ""];
  if (!bench) {
    console.error(`bench: there is no bench "${name ?? ""}".\n${usage}`);
    return 2;
  }
  const compiler = findCompiler();
  if (compiler === null) {
    console.error("bench: there are no kernels without a C compiler. Install gcc or clang.");
    return 1;
  }
  const cores = navigator.hardwareConcurrency, ceiling = new Ceiling(compiler);
  const ceilings = (cores > 1 ? [1, cores] : [1]).map((threads) => ceiling.measure(threads));
  const rows = bench(ceilings, peer ? torchFigures(name, cores) : {});
  const report = { bench: name, ceilings: ceilings.at(-1)!, rows };
  printReport(report);
  if (json) console.log(JSON.stringify(report));
  return 0;
}

Deno.exit(main());
