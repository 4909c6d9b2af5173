/**
 * `deno task bench dispatch|gemm|attention|train-step|decode|curve|serve|generation-weights|gpu [--json] [--peer] [--text FILE]`:
 * measures this machine's ceilings and our work in one run; `--peer` runs PyTorch or llama.cpp beside it, or a bare server. `curve` learns
 * the text of a file, `serve` is many clients of a server, `generation-weights` compares the copies of weights that generate.
 * `gpu` measures the GPU, PyTorch beside it where Python has it with CUDA; `--tiny` in sizes for the simulated GPU.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { attention } from "./attention.ts";
import { findCompiler } from "../ffi/mod.ts";
import { Ceiling, type Ceilings } from "../tensor/ceilings.ts";
import { curve } from "./curve.ts";
import { decode } from "./decode.ts";
import { dispatch } from "./dispatch.ts";
import { gemm } from "./gemm.ts";
import { generationWeights } from "./generation_weights.ts";
import { gpu, type GpuRequest, missingGpu } from "./gpu/mod.ts";
import { type PeerFigures, torchFigures } from "./peers/peer.ts";
import { printReport, type Report, type Row } from "./report.ts";
import { serve, type ServeRequest } from "./serve.ts";
import { StolenTime } from "./stolen.ts";
import { llamaShapes } from "./trainer.ts";
import { trainStep } from "./train_step.ts";

/** What a bench is asked for. */
interface Request {
  readonly ceilings: readonly Ceilings[];
  /** Whether others work beside it. */
  readonly peer: boolean;
  readonly threads: number;
  /** The file to learn from, for `curve`. */
  readonly text: string | undefined;
  /** Which server is loaded, and how. */
  readonly load: ServeRequest;
}

type Bench = (request: Request) => Row[] | Promise<Row[]>;

const benches: Record<string, Bench> = {
  dispatch: withFigures("dispatch", dispatch),
  gemm: withFigures("gemm", gemm),
  attention: withFigures("attention", attention),
  "train-step": withFigures("train-step", trainStep),
  decode: ({ ceilings, peer }) => decode(ceilings, peer),
  curve: ({ text, peer }) => curve(text!, peer),
  serve: ({ load }) => serve(load),
  "generation-weights": ({ load: { model, tokenizer }, text }) =>
    generationWeights({ model: model!, tokenizer, text: text! }),
};
const usage = `usage: deno task bench ${
  Object.keys(benches).join("|")
}|gpu [--json] [--peer] [--text FILE]
  of serve: [--url URL | --model DIR [--tokenizer FILE] | --shape 260K|1.3M|15M] [--threads N] [--clients N | --rate PER_SECOND] [--requests N] [--max-tokens N]
  of generation-weights: --model DIR --text FILE [--tokenizer FILE]
  of gpu: [--tiny] [--no-peer]`;

/** A bench that is given PyTorch's figures by the names of its rows. */
function withFigures(
  name: string,
  bench: (ceilings: readonly Ceilings[], figures: PeerFigures) => Row[],
): Bench {
  return ({ ceilings, peer, threads }) => bench(ceilings, peer ? torchFigures(name, threads) : {});
}

async function main(): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({
      args: Deno.args.filter((arg) => arg !== "--"),
      allowPositionals: true,
      allowNegative: true,
      options: {
        json: { type: "boolean" },
        peer: { type: "boolean" },
        tiny: { type: "boolean", default: false },
        text: { type: "string" },
        url: { type: "string" },
        model: { type: "string" },
        tokenizer: { type: "string" },
        threads: { type: "string" },
        shape: { type: "string", default: "260K" },
        clients: { type: "string", default: "32" },
        requests: { type: "string", default: "320" },
        rate: { type: "string" },
        "max-tokens": { type: "string", default: "64" },
      },
    });
  } catch (error) {
    console.error(`bench: ${(error as Error).message}\n${usage}`);
    return 2;
  }
  const { positionals: [name], values } = parsed, { json, peer = false, text } = values;
  if (name === "gpu") return benchGpu({ tiny: values.tiny, peer: values.peer ?? true }, json);
  const bench = benches[name ?? ""];
  if (!bench) {
    console.error(`bench: there is no bench "${name ?? ""}".\n${usage}`);
    return 2;
  }
  if (name === "curve" && text === undefined) {
    console.error(`bench: curve needs a text, such as tiny Shakespeare: --text FILE.\n${usage}`);
    return 2;
  }
  const { url, model, tokenizer, threads, rate } = values, shape = llamaShapes[values.shape];
  if (name === "generation-weights" && (text === undefined || model === undefined)) {
    console.error(`bench: generation-weights needs a model and a text it knows.\n${usage}`);
    return 2;
  }
  if (shape === undefined) {
    const known = Object.keys(llamaShapes).join(", ");
    console.error(`bench: there is no shape "${values.shape}", only ${known}.\n${usage}`);
    return 2;
  }
  const load: ServeRequest = {
    ...{ url, model, tokenizer, threads, shape },
    clients: Number(values.clients),
    requests: Number(values.requests),
    rate: rate === undefined ? undefined : Number(rate),
    maxTokens: Number(values["max-tokens"]),
    peer,
  };
  const numbers = [load.clients, load.requests, load.maxTokens, load.rate ?? 1];
  if (!numbers.every((value) => value > 0)) {
    console.error(`bench: --clients, --requests, --rate and --max-tokens are above 0.\n${usage}`);
    return 2;
  }
  const compiler = findCompiler();
  if (compiler === null) {
    console.error("bench: there are no kernels without a C compiler. Install gcc or clang.");
    return 1;
  }
  const cores = navigator.hardwareConcurrency, ceiling = new Ceiling(compiler);
  const ceilings = (cores > 1 ? [1, cores] : [1]).map((threads) => ceiling.measure(threads));
  const others = new StolenTime();
  const rows = await bench({ ceilings, peer, threads: cores, text, load });
  const { share: stolen } = others;
  tell(
    { bench: name, ceilings: ceilings.at(-1)!, rows, ...stolen === undefined ? {} : { stolen } },
    json,
  );
  return 0;
}

/** The exit code is 2 without a GPU. */
function benchGpu(request: GpuRequest, json?: boolean): number {
  const missing = missingGpu();
  if (missing !== "") {
    console.error(`bench: there is no GPU to measure. ${missing}`);
    return 2;
  }
  tell(gpu(request), json);
  return 0;
}

function tell(report: Report, json = false): void {
  printReport(report);
  if (json) console.log(JSON.stringify(report));
}

Deno.exit(await main());
