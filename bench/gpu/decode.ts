/**
 * Generating tokens on the GPU, with and without CUDA graphs.
 *
 * @module
 */
import { Engine } from "../../engine/mod.ts";
import { Decoder } from "../../nn/mod.ts";
import { tokensPerSecond, weightBytes } from "../decode.ts";
import type { PeerFigures } from "../peers/peer.ts";
import type { GpuCeilings, Row } from "../report.ts";
import { llamaSpec } from "../trainer.ts";
import { withTorch } from "./compute.ts";
import type { GpuSizes, ModelSize } from "./sizes.ts";

const promptTokens = 8;

/** Tokens per second of so many streams together, weights in bf16, on the host's clock: sampling and scheduling count. */
function streamed(
  { shape, time }: ModelSize,
  streams: number,
  { runs, graphs }: { readonly runs: number; readonly graphs: boolean },
): number {
  const context = promptTokens + time;
  using decoder = new Decoder(llamaSpec(shape, context), { train: false });
  using engine = new Engine(decoder, {
    weights: "bf16",
    maxRunning: streams,
    kvTokens: streams * (context + 16),
    prefixReuse: false,
    graphs,
  });
  return tokensPerSecond(engine, shape.vocab, [streams], { newTokens: time, runs })[0];
}

/** One stream, whose ceiling is how often memory can be read for all weights, and many; then without graphs. */
export function decoding(sizes: GpuSizes, { readGBs }: GpuCeilings, peer: PeerFigures): Row[] {
  return sizes.decoding.flatMap((model) =>
    [1, model.batch].flatMap((streams) => {
      const name = `decode ${model.name} bf16 s${streams}`;
      const limit = readGBs * 1e9 / weightBytes(model.shape, "bf16");
      const row = (name: string, graphs: boolean): Row => {
        const value = streamed(model, streams, { runs: sizes.runs, graphs });
        const measured = { name, value, unit: "tok/s" };
        return streams === 1 ? { ...measured, ofCeiling: value / limit } : measured;
      };
      return [...withTorch(row(name, true), peer), row(`${name} without graphs`, false)];
    })
  );
}
