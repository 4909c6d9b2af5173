/**
 * Prints GFLOP/s of the GPU bench's attention as JSON, with whatever `DENOTRON_CUDNN` says: `attention_figures.ts [--tiny]`.
 *
 * @module
 */
import { attentionGflops, attentionTitle } from "../../bench/attention.ts";
import { fullSizes, tinySizes } from "../../bench/gpu/sizes.ts";
import { gpuBest } from "../../bench/gpu/timing.ts";

const { attention, runs } = Deno.args.includes("--tiny") ? tinySizes : fullSizes;
const figures = attention.flatMap((shape) =>
  [false, true].map((gradient) => [
    attentionTitle(shape, "bf16", gradient),
    attentionGflops(shape, "bf16", gradient, gpuBest(runs)),
  ])
);
console.log(JSON.stringify(Object.fromEntries(figures)));
