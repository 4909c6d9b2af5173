/**
 * Whether results are right, and what the device can do at most.
 *
 * @module
 */
import { gpuCeilings } from "../../bench/gpu/ceilings.ts";
import { fullSizes, tinySizes } from "../../bench/gpu/sizes.ts";
import { type DeviceName, RandomKey, scope, Tensor } from "../../tensor/mod.ts";
import { answer, type Check, type Subject } from "./check.ts";

type Body = (random: (shape: readonly number[], seed: number) => Tensor) => Tensor;

/** The largest difference between the GPU and the CPU, as a share of the largest number. */
function difference(dtype: "f32" | "bf16", body: Body): number {
  const run = (device: DeviceName): number[] =>
    scope(() => [
      ...// Drawn on the CPU for both, so that both start from the same numbers.
      body((shape, seed) =>
        Tensor.normal(shape, new RandomKey(seed), { device: "cpu" }).to(dtype).to(device)
      ).data(),
    ]);
  const [gpu, cpu] = [run("cuda"), run("cpu")];
  const largest = cpu.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  return cpu.reduce((most, x, i) => {
    const apart = Math.abs(x - gpu[i]);
    return apart <= most ? most : apart; // NaN stays
  }, 0) / largest;
}

const sizesOf = ({ tiny }: Subject) => tiny ? [24, 40, 16] : [512, 1024, 768];
const tolerances = { f32: 1e-5, bf16: 2e-2 } as const;

/** Memory that a kernel writes, cuBLAS reads and writes, and a kernel reads. */
export const sharedContext: Check = {
  question: "Do our kernels and cuBLAS share the primary context, its memory and our stream?",
  required: true,
  run: (subject) => {
    const [m, k, n] = sizesOf(subject);
    const apart = difference(
      "f32",
      (random) => random([m, k], 1).mul(0.5).linear(random([n, k], 2).add(1)).relu(),
    );
    const text = `kernel, product and kernel differ from the CPU by ${apart.toExponential(1)}`;
    return answer(apart <= tolerances.f32, text, { difference: apart });
  },
};

/** RMSNorm, and products of all transpositions. */
export const values: Check = {
  question: "Are RMSNorm and the products TN, NN and NT right?",
  required: true,
  run: (subject) => {
    const [m, k, n] = sizesOf(subject);
    const bodies: Record<string, Body> = {
      rmsNorm: (random) => random([m, k], 1).rmsNorm(random([k], 2)),
      TN: (random) => random([m, k], 1).linear(random([n, k], 2)),
      NN: (random) => random([m, k], 1).matmul(random([k, n], 2)),
      NT: (random) => random([k, m], 1).transpose(0, 1).matmul(random([k, n], 2)),
    };
    const figures = Object.fromEntries(
      Object.entries(bodies).flatMap(([name, body]) =>
        (["f32", "bf16"] as const).map((dtype) => [`${name} ${dtype}`, difference(dtype, body)])
      ),
    ) as Record<string, number>;
    const wrong = Object.entries(figures).filter(([name, apart]) =>
      !(apart <= tolerances[name.endsWith("bf16") ? "bf16" : "f32"])
    );
    const text = wrong.length === 0 ? "all" : `not ${wrong.map(([name]) => name).join(", ")}`;
    return answer(wrong.length === 0, text, figures);
  },
};

/** The ceilings of the bench. */
export const ceilings: Check = {
  question: "What do a large copy and a large product reach?",
  required: false,
  run: ({ tiny }) => {
    const { fmaGflops, bf16Gflops, readGBs } = gpuCeilings(tiny ? tinySizes : fullSizes);
    const text = `copy ${readGBs.toFixed(0)} GB/s read and written; product ${
      (bf16Gflops / 1000).toFixed(1)
    } TFLOP/s bf16, ${(fmaGflops / 1000).toFixed(1)} f32`;
    return answer(true, text, { readGBs, bf16Gflops, fmaGflops });
  },
};
