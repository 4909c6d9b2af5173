/**
 * What the parent's channels and heads contribute, measured on text.
 *
 * @module
 */
import {
  Attention,
  type Decoder,
  GatedFeedForward,
  LinearReplacement,
  type Relu2FeedForward,
} from "../../nn/mod.ts";
import { noGrad, scope, Tensor } from "../../tensor/mod.ts";
import type { TokenBatch } from "../stage.ts";
import { parentActivations } from "./activations.ts";

/** What the parts of one block contribute to what they give. */
export interface BlockStatistics {
  /** For each feed-forward channel i, mean |a_i| · ‖W_down[:, i]‖; null without such channels. */
  readonly channels: readonly number[] | null;
  /** For each KV head, the mean norm of what its query heads add through `o`; null without attention. */
  readonly kvHeads: readonly number[] | null;
}

/**
 * The contributions of every block of a decoder, averaged over the tokens of `batches`
 * (Bercovich et al., "Puzzle", 2024, appendix A).
 */
export function measureStatistics(
  decoder: Decoder,
  batches: readonly TokenBatch[],
): BlockStatistics[] {
  const channels = decoder.blocks.map(() => new Mean());
  const kvHeads = decoder.blocks.map(() => new Mean());
  for (const batch of batches) {
    noGrad(() =>
      scope(() => {
        const { place, inputs, middles } = parentActivations(decoder, batch);
        decoder.blocks.forEach(({ attention, ffn }, i) => {
          scope(() => {
            if (attention instanceof Attention) {
              const attended = attention.attended(inputs[i], place); // [tokens, heads · headDim]
              kvHeads[i].add(headContributions(attention, attended), batch.ids.length);
            }
            if (ffn !== null && !(ffn instanceof LinearReplacement)) {
              channels[i].add(channelContributions(ffn, middles[i]), batch.ids.length);
            }
          });
        });
      })
    );
  }
  return decoder.blocks.map((_, i) => ({ channels: channels[i].value, kvHeads: kvHeads[i].value }));
}

/** x: [tokens, dim] → [hidden]. */
function channelContributions(ffn: GatedFeedForward | Relu2FeedForward, x: Tensor): Tensor {
  const n = ffn.norm?.forward(x) ?? x;
  const units = ffn instanceof GatedFeedForward
    ? ffn.gate.forward(n).swiglu(ffn.up.forward(n))
    : ffn.up.forward(n).relu2();
  const columns = ffn.down.weight.to("f32").pow(2).sum(0).sqrt(); // ‖W_down[:, i]‖
  return units.to("f32").abs().mean(0).mul(columns);
}

/** attended: [tokens, heads · headDim] → [kvHeads]. */
function headContributions({ k, o, headDim }: Attention, attended: Tensor): Tensor {
  const groups = k.weight.shape[0] / headDim, size = attended.shape[1] / groups;
  const norms = Array.from({ length: groups }, (_, g) => {
    const [from, to] = [g * size, (g + 1) * size];
    const added = attended.slice(1, from, to).linear(o.weight.slice(1, from, to)); // [tokens, dim]
    return added.to("f32").pow(2).sum(1).sqrt().mean();
  });
  return Tensor.stack(norms);
}

/** A mean of vectors, weighted by tokens; null when there was none. */
class Mean {
  #sum: Float64Array | null = null;
  #tokens = 0;

  add(mean: Tensor, tokens: number): void {
    const values = mean.data();
    this.#sum ??= new Float64Array(values.length);
    for (let i = 0; i < values.length; i++) this.#sum[i] += values[i] * tokens;
    this.#tokens += tokens;
  }

  get value(): number[] | null {
    return this.#sum && Array.from(this.#sum, (sum) => sum / this.#tokens);
  }
}
