/**
 * How much feed-forward parts that follow each other depend on each other.
 *
 * @module
 */
import type { Decoder } from "../../nn/mod.ts";
import { cosineLoss, noGrad, scope, type Tensor } from "../../tensor/mod.ts";
import type { TokenBatch } from "../stage.ts";
import { parentActivations } from "./activations.ts";

/**
 * For blocks i < j of a run without attention between their feed-forward parts: the mean over tokens of
 * 1 − cos(h_j, h̃_j), where h_j is what part j adds, and h̃_j what it adds when part i is left out. Parts that hardly depend
 * on each other may run side by side. The result is by place in `run`; 0 where j does not follow i.
 *
 * Source: Bercovich et al., "FFN Fusion", 2025.
 */
export function dependencies(
  decoder: Decoder,
  run: readonly number[],
  batches: readonly TokenBatch[],
): number[][] {
  const matrix = run.map(() => run.map(() => 0));
  const tokens = batches.reduce((sum, { ids }) => sum + ids.length, 0);
  for (const batch of batches) {
    noGrad(() =>
      scope(() => {
        const { middles } = parentActivations(decoder, batch);
        const added = run.map((block) => decoder.blocks[block].ffn!.forward(middles[block]));
        run.forEach((left, i) => {
          let x: Tensor = middles[left]; // the stream without part i
          for (let j = i + 1; j < run.length; j++) {
            const without = decoder.blocks[run[j]].ffn!.forward(x);
            matrix[i][j] += cosineLoss(added[j], without).item() * batch.ids.length / tokens;
            x = x.add(without);
          }
        });
      })
    );
  }
  return matrix;
}
