/**
 * Losses that know the gradients of their head as soon as they are computed.
 *
 * @module
 */
import { attach } from "../autograd.ts";
import type { Tensor } from "../tensor.ts";
import type { HeadGradients } from "./head.ts";

/** x times a number; itself when that is 1, as it is for the loss that `backward()` is called on. */
function scaled(x: Tensor, factor: number): Tensor {
  return factor === 1 ? x : x.mul(factor);
}

/**
 * Record `loss`, a number, as computed from hidden states and a weight, with gradients that are known already.
 *
 * The gradients of a loss at the end of a network need the logits, which are too large to keep and too costly to compute
 * twice, so they are computed with the loss and kept in place of the logits: [tokens, dim] and [vocab, dim] instead of
 * [tokens, vocab]. All that backward has to do is to scale them (Hsu et al., "Liger Kernel", 2024). No single op could do
 * that: it is several ops, run without recording, and this one node on the tape.
 */
export function attachHead(
  name: string,
  loss: Tensor,
  hidden: Tensor,
  weight: Tensor,
  gradient: HeadGradients,
): void {
  if (!gradient.hidden && !gradient.weight) return;
  const saved = [gradient.hidden, gradient.weight].filter((x) => x !== null);
  for (const x of saved) x.keep();
  // A leaf adds gradients up in f32; further back they have the type of the tensor.
  const leaf = weight.node === null;
  attach(name, [hidden, weight], [loss], saved, ([g], node) => {
    const factor = node.isLoss ? 1 : g!.item(); // reading it would wait for the device
    const weightGradient = gradient.weight && scaled(gradient.weight, factor);
    return [
      gradient.hidden && scaled(gradient.hidden, factor),
      leaf ? weightGradient : weightGradient?.to(weight.dtype) ?? null,
    ];
  });
}
