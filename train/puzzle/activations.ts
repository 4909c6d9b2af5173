/**
 * The parent's activations, which everything that is searched is measured against.
 *
 * @module
 */
import { type Decoder, packed, type Placement } from "../../nn/mod.ts";
import { Tensor } from "../../tensor/mod.ts";
import type { TokenBatch } from "../stage.ts";

/** The residual stream of a decoder on one batch; all tensors are [tokens, dim]. */
export interface Activations {
  /** Where the tokens stand. */
  readonly place: Placement;
  /** What each block reads, and at the end what the last one gives. */
  readonly inputs: readonly Tensor[];
  /** What each block's feed-forward part reads: the stream after attention. */
  readonly middles: readonly Tensor[];
}

/** Runs a decoder's blocks and keeps what lies between them, until the enclosing scope ends. */
export function parentActivations(decoder: Decoder, { ids, lengths }: TokenBatch): Activations {
  const place = packed(lengths), inputs: Tensor[] = [], middles: Tensor[] = [];
  let x = decoder.embedding.forward(Tensor.from(ids, [ids.length], { dtype: "i32" }));
  for (const { attention, ffn } of decoder.blocks) {
    inputs.push(x);
    if (attention) x = x.add(attention.forward(x, place));
    middles.push(x);
    if (ffn) x = x.add(ffn.forward(x));
  }
  inputs.push(x);
  return { place, inputs, middles };
}
