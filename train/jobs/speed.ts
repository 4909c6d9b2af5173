/**
 * How fast training is, compared with what the machine could do.
 *
 * @module
 */
import { type DecoderSpec, summarize } from "../../nn/mod.ts";
import { machineCeilings, peakGflops } from "../../tensor/ceilings.ts";
import { device } from "../../tensor/mod.ts";

/** Adds figures to those of a step. */
export type Speedometer = (values: Readonly<Record<string, number>>) => Record<string, number>;

/**
 * Adds `mfu` to the figures of steps, the model's FLOPs a second as a share of the measured ceiling of its dtype (Chowdhery
 * et al., "PaLM", 2022, appendix B), where there is one; and `memory_bytes`, what the process holds.
 */
export function speedometer(
  spec: DecoderSpec,
  dtype: "f32" | "bf16",
  context: number,
): Speedometer {
  const { training } = summarize(spec, context).flopsPerToken;
  const ceilings = machineCeilings(device().threads);
  const peak = ceilings === null ? 0 : 1e9 * peakGflops(ceilings, dtype);
  return (values) => ({
    ...values,
    ...values.tokens_per_second !== undefined && peak > 0
      ? { mfu: values.tokens_per_second * training / peak }
      : {},
    ...values.tokens_per_second !== undefined ? { memory_bytes: Deno.memoryUsage().rss } : {},
  });
}
