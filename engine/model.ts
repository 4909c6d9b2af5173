/**
 * A decoder's weights laid out for generation, and one forward pass over packed sequences whose keys and values lie in
 * blocks.
 *
 * @module
 */
import {
  activationType,
  Attention,
  type AttentionPart,
  type AttentionSpec,
  type Decoder,
  type DecoderSpec,
  type FfnPart,
  type FfnSpec,
  GatedFeedForward,
  type Linear,
  type LinearWeights,
  type Norm,
  Relu2FeedForward,
  WeightCopy,
  type WeightFormat,
} from "../nn/mod.ts";
import {
  callInto,
  noGrad,
  ropeTable,
  scope,
  type Sequences,
  ShapeError,
  Tensor,
} from "../tensor/mod.ts";
import { placeHeads } from "../tensor/ops/mod.ts";
import type { KvBlocks, LayerBlocks } from "./kv_blocks.ts";

/** The tokens of one step, all sequences one after the other; i32 tensors. */
export interface PackedTokens {
  /** [tokens]. */
  readonly ids: Tensor;
  /** Position of each token in its sequence: [tokens]. */
  readonly positions: Tensor;
  /** The row of the key-value memory for each token: [tokens]. */
  readonly places: Tensor;
  /** Where the sequences lie. */
  readonly sequences: Sequences;
  /** The tokens whose logits are wanted: [rows]; null for all. */
  readonly wanted: Tensor | null;
}

/** f32 [rows, vocab], and the largest of each 256 of them where they are known: f32 [rows, blocks], or [rows, 0]. */
export type Logits = readonly [values: Tensor, maxima: Tensor];

/**
 * The same formula as `Decoder.logits()`, and in f32 and bf16 the same bits, in about half the calls: layers that read the
 * same are one product, additions belong to the normalisation that follows, and heads go to their places in one pass.
 */
export class GenerationModel implements Disposable {
  /** What it computes. */
  readonly spec: DecoderSpec;
  /** The longest sequence that it has room for, in tokens. */
  readonly context: number;
  /** How its matrices are stored. */
  readonly format: WeightFormat;
  readonly #embedding: Tensor;
  readonly #table: Tensor;
  readonly #blocks: readonly (readonly [attention: PartCopy | null, ffn: PartCopy | null])[];
  readonly #norm: NormCopy;
  readonly #head: WeightCopy;

  /** A copy of a decoder's weights; the decoder may change or go afterwards. */
  constructor(decoder: Decoder, format: WeightFormat) {
    const { spec, context } = decoder, dtype = activationType(format);
    [this.spec, this.context, this.format] = [spec, context, format];
    const { headDim, rope: { theta, fraction, scaling } } = spec;
    const copy = (part: AttentionPart | FfnPart | null): PartCopy | null =>
      part && new PartCopy(part, spec, format);
    this.#table = ropeTable({ theta, fraction, scaling, headDim, positions: context }).keep();
    this.#embedding = Tensor.empty([spec.vocab, spec.dim], { dtype }).keep();
    this.#blocks = decoder.blocks.map(({ attention, ffn }) => [copy(attention), copy(ffn)]);
    this.#norm = new NormCopy(decoder.norm, spec, dtype);
    this.#head = new WeightCopy([headOf(decoder)], format);
    this.#embedding.assign(decoder.embedding.weight);
  }

  /** Takes over the weights of a decoder of the same spec. Throws ShapeError for another one. */
  refresh(decoder: Decoder): void {
    if (JSON.stringify(decoder.spec) !== JSON.stringify(this.spec)) {
      throw new ShapeError(
        `refresh: the decoder has another spec (${decoder.blocks.length} vs ${this.#blocks.length} blocks). ` +
          `Make a new engine.`,
      );
    }
    this.#embedding.assign(decoder.embedding.weight);
    this.#blocks.forEach(([attention, ffn], i) => {
      attention?.refresh(decoder.blocks[i].attention!);
      ffn?.refresh(decoder.blocks[i].ffn!);
    });
    this.#norm.refresh(decoder.norm);
    this.#head.refresh([headOf(decoder)]);
  }

  /** The logits after the wanted tokens. Keys and values of all tokens go to their places. */
  logits(tokens: PackedTokens, memory: KvBlocks): Logits {
    return noGrad(() =>
      scope(() => {
        let x = tokens.ids.embedding(this.#embedding); // [tokens, dim]
        let delta: Tensor | null = null; // what is still to be added to x
        // What a part computes on the way dies with it: all parts then share memory, which the caches hold.
        const part = (norm: NormCopy, body: (n: Tensor) => Tensor): void => {
          const [sum, next] = scope(() => {
            const [sum, n] = norm.forward(x, delta);
            return [sum, body(n)];
          });
          if (sum !== x) x[Symbol.dispose]();
          delta?.[Symbol.dispose]();
          [x, delta] = [sum, next];
        };
        this.#blocks.forEach(([attention, ffn], i) => {
          const layer = memory.layers[i], spec = this.spec.blocks[i];
          if (attention) {
            part(attention.norm, (n) => this.#attend(attention, spec.attention!, n, tokens, layer));
          }
          if (ffn) part(ffn.norm, (n) => feedForward(ffn, spec.ffn!, n));
        });
        const [, last] = this.#norm.forward(x, delta);
        return this.#head.forwardLogits(tokens.wanted?.embedding(last) ?? last);
      })
    );
  }

  /** n: [tokens, dim] → same. */
  #attend(
    { copies: [first, output] }: PartCopy,
    spec: AttentionSpec,
    n: Tensor,
    { positions, places, sequences }: PackedTokens,
    layer: LayerBlocks | null,
  ): Tensor {
    if (spec.kind === "linear") return first.forward(n);
    const { heads, kvHeads, window = 0 } = spec, { headDim } = this.spec, [count] = n.shape;
    const { keys, values } = layer!;
    const projection = first.forward(n).reshape([count, heads + 2 * kvHeads, headDim]);
    const q = projection.newEmpty([count, heads, headDim]);
    const inputs = [projection, this.#table, positions, places, keys, values] as const;
    callInto(placeHeads, inputs, [q, keys, values], { heads });
    const attended = q.attention(keys, values, { causal: true, window, sequences });
    return output.forward(attended.reshape([count, heads * headDim]));
  }

  /** Gives the memory back. Safe to call twice. */
  [Symbol.dispose](): void {
    for (const part of this.#blocks.flat()) part?.[Symbol.dispose]();
    for (const own of [this.#embedding, this.#table, this.#norm, this.#head]) {
      own[Symbol.dispose]();
    }
  }
}

/** n: [tokens, dim] → same. */
function feedForward({ copies: [first, down] }: PartCopy, spec: FfnSpec, n: Tensor): Tensor {
  switch (spec.kind) {
    case "linear":
      return first.forward(n);
    case "gated":
      return down.forward(first.forward(n));
    case "relu2":
      return down.forward(first.forward(n).relu2());
  }
}

/** The head as a layer; with tied weights that is the embedding. */
function headOf(decoder: Decoder): LinearWeights {
  return { weight: decoder.headWeight, bias: null, adapter: null };
}

/** The layers of a part; those of one list read the same input and become one product. */
function layersOf(part: AttentionPart | FfnPart): readonly (readonly Linear[])[] {
  if (part instanceof Attention) return [[part.q, part.k, part.v], [part.o]];
  if (part instanceof GatedFeedForward) return [[part.gate, part.up], [part.down]];
  if (part instanceof Relu2FeedForward) return [[part.up], [part.down]];
  return [[part.linear]];
}

/** The weights of a part of a block. */
class PartCopy implements Disposable {
  readonly norm: NormCopy;
  readonly copies: readonly WeightCopy[];

  constructor(part: AttentionPart | FfnPart, spec: DecoderSpec, format: WeightFormat) {
    this.norm = new NormCopy(part.norm!, spec, activationType(format));
    this.copies = layersOf(part).map((layers) =>
      new WeightCopy(layers, format, {
        gated: part instanceof GatedFeedForward && layers[0] === part.gate,
      })
    );
  }

  refresh(part: AttentionPart | FfnPart): void {
    this.norm.refresh(part.norm!);
    layersOf(part).forEach((layers, i) => this.copies[i].refresh(layers));
  }

  [Symbol.dispose](): void {
    for (const own of [this.norm, ...this.copies]) own[Symbol.dispose]();
  }
}

/** The weights of a normalisation. */
class NormCopy implements Disposable {
  readonly #spec: DecoderSpec["norm"];
  readonly #weights: readonly Tensor[];

  constructor(norm: Norm, spec: DecoderSpec, dtype: "f32" | "bf16") {
    this.#spec = spec.norm;
    this.#weights = weightsOf(norm).map(({ shape }) => Tensor.empty(shape, { dtype }).keep());
    this.refresh(norm);
  }

  refresh(norm: Norm): void {
    weightsOf(norm).forEach((weight, i) => void this.#weights[i].assign(weight));
  }

  /** Adds what is to be added to x, and normalises the sum. All [tokens, dim]. */
  forward(x: Tensor, delta: Tensor | null): [sum: Tensor, normed: Tensor] {
    const [weight, bias] = this.#weights, { kind, eps } = this.#spec;
    if (kind === "rms_norm") {
      return delta ? x.addRmsNorm(delta, weight, eps) : [x, x.rmsNorm(weight, eps)];
    }
    const sum = delta ? x.add(delta) : x;
    return [sum, sum.layerNorm(weight, bias, eps, { onePlus: true })];
  }

  [Symbol.dispose](): void {
    for (const weight of this.#weights) weight[Symbol.dispose]();
  }
}

function weightsOf(norm: Norm): Tensor[] {
  return "bias" in norm ? [norm.weight, norm.bias] : [norm.weight];
}
