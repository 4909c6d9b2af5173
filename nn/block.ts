/**
 * One residual block of a decoder.
 *
 * @module
 */
import type { Tensor } from "../tensor/mod.ts";
import { Attention } from "./attention.ts";
import { GatedFeedForward, LinearReplacement, Relu2FeedForward } from "./feed_forward.ts";
import type { LayerCache } from "./kv_cache.ts";
import { Linear } from "./linear.ts";
import { Module } from "./module.ts";
import { LayerNorm1p, type Norm, RmsNorm } from "./norm.ts";
import { type Placement, wholeSequences } from "./placement.ts";
import type { Rope } from "./rope.ts";
import type { AttentionSpec, BlockSpec, DecoderSpec, FfnSpec } from "./spec.ts";

/** The first part of a block. */
export type AttentionPart = Attention | LinearReplacement;
/** The second part of a block. */
export type FfnPart = GatedFeedForward | Relu2FeedForward | LinearReplacement;
/** Tensors by dotted name. */
export type Weights = ReadonlyMap<string, Tensor>;

/**
 * x + attention(x), then x + ffn(x); each part normalises what it reads. A part that is null is not there at all, and a
 * block without parts is the identity. x: [batch, time, dim] or packed [tokens, dim] → same.
 */
export class Block extends Module {
  /** A block that owns its parts. */
  constructor(readonly attention: AttentionPart | null, readonly ffn: FfnPart | null) {
    super();
  }

  /** Whether it has no parts, and so changes nothing. */
  get isIdentity(): boolean {
    return this.attention === null && this.ffn === null;
  }

  /** x: [batch, time, dim] → same; with a cache, x is packed, and its tokens follow those that the cache holds. */
  forward(x: Tensor, place: Placement = wholeSequences, cache: LayerCache | null = null): Tensor {
    const { attention, ffn } = this;
    if (attention) x = x.add(attention.forward(x, place, cache));
    if (ffn) x = x.add(ffn.forward(x));
    return x;
  }
}

/** The block that `block` describes, made of `weights` whose names start with `prefix`, such as `blocks.3`. */
export function makeBlock(
  spec: DecoderSpec,
  block: BlockSpec,
  weights: Weights,
  rope: Rope,
  prefix: string,
): Block {
  return new Block(
    makeAttention(spec, block.attention, weights, rope, `${prefix}.attention`),
    makeFfn(spec, block.ffn, weights, `${prefix}.ffn`),
  );
}

function makeAttention(
  spec: DecoderSpec,
  part: AttentionSpec | null,
  weights: Weights,
  rope: Rope,
  prefix: string,
): AttentionPart | null {
  if (part === null) return null;
  const norm = makeNorm(spec, weights, `${prefix}.norm`);
  const linear = (name: string): Linear => makeLinear(weights, `${prefix}.${name}`);
  if (part.kind === "linear") return new LinearReplacement(norm, linear("linear"));
  const parts = { norm, q: linear("q"), k: linear("k"), v: linear("v"), o: linear("o") };
  return new Attention(parts, { headDim: spec.headDim, rope, window: part.window ?? 0 });
}

function makeFfn(
  spec: DecoderSpec,
  part: FfnSpec | null,
  weights: Weights,
  prefix: string,
): FfnPart | null {
  if (part === null) return null;
  const norm = makeNorm(spec, weights, `${prefix}.norm`);
  const linear = (name: string): Linear => makeLinear(weights, `${prefix}.${name}`);
  switch (part.kind) {
    case "linear":
      return new LinearReplacement(norm, linear("linear"));
    case "gated":
      return new GatedFeedForward({
        norm,
        gate: linear("gate"),
        up: linear("up"),
        down: linear("down"),
      });
    case "relu2":
      return new Relu2FeedForward({ norm, up: linear("up"), down: linear("down") });
  }
}

/** The norm of a decoder whose weights have names that start with `prefix`. */
export function makeNorm({ norm }: DecoderSpec, weights: Weights, prefix: string): Norm {
  const weight = weights.get(`${prefix}.weight`)!;
  if (norm.kind === "rms_norm") return new RmsNorm(weight, norm.eps);
  return new LayerNorm1p(weight, weights.get(`${prefix}.bias`)!, norm.eps);
}

/** The linear layer whose weights have names that start with `prefix`. */
export function makeLinear(weights: Weights, prefix: string): Linear {
  return new Linear(weights.get(`${prefix}.weight`)!, weights.get(`${prefix}.bias`) ?? null);
}
