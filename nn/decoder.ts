/**
 * The decoder-only transformer.
 *
 * @module
 */
import { checkpoint, noGrad, scope, Tensor } from "../tensor/mod.ts";
import { ParameterArena } from "./arena.ts";
import { type Block, makeBlock, makeNorm, type Weights } from "./block.ts";
import {
  castEntries,
  checkEntries,
  CheckpointError,
  type CheckpointSource,
} from "./checkpoint/source.ts";
import { openCheckpoint } from "./checkpoint/open.ts";
import { writeHuggingFace, type WriteHuggingFaceOptions } from "./checkpoint/huggingface.ts";
import { Embedding } from "./embedding.ts";
import { Head, projectWide } from "./head.ts";
import { decoderInitializer } from "./init.ts";
import { type DecoderCache, KvCache, type KvCacheOptions, type LayerCache } from "./kv_cache.ts";
import { LowRank } from "./low_rank.ts";
import { Module } from "./module.ts";
import type { Norm } from "./norm.ts";
import { fromTensors, packed, type Placement, toTensors, wholeSequences } from "./placement.ts";
import { Rope } from "./rope.ts";
import { type DecoderSpec, parameters } from "./spec.ts";
import { validateSpec } from "./spec_check.ts";
import type { State } from "./state.ts";

/** How a decoder computes, and whether it learns. */
export interface DecoderOptions {
  /**
   * What it computes in; f32 by default. Masters and gradients are f32 in any case; "bf16" keeps a copy to compute with.
   */
  readonly dtype?: "f32" | "bf16";
  /** Whether it has gradients, and masters for bf16; true by default. Without them it holds nothing but its weights. */
  readonly train?: boolean;
  /** Whether backward computes what is inside a block again instead of keeping it; false by default. */
  readonly checkpointBlocks?: boolean;
  /** The longest sequence to make room for, in tokens; the spec's context by default. */
  readonly context?: number;
}

/** A decoder with random weights. */
export interface NewDecoderOptions extends DecoderOptions {
  /** Decides the initial weights, each by its name; 0 by default. */
  readonly seed?: number;
  /** Weights to start with instead: a checkpoint's entries, or another decoder's `state()`. */
  readonly from?: State;
}

/** What one forward pass reads and tells besides the ids. */
export interface ForwardOptions {
  /**
   * Lengths of sequences that are packed into ids [tokens], which then do not see each other. With a cache, how many
   * tokens are new in each of its sequences.
   */
  readonly lengths?: readonly number[];
  /** The same as tensors, which `packed()` makes of lengths; without a cache. */
  readonly placement?: Placement;
  /** Keys and values of earlier tokens, which gets those of the new ones. Nothing has a gradient then. */
  readonly cache?: DecoderCache;
  /**
   * Called with the residual stream, [batch, time, dim], after `depth` blocks: from 0, the embedding, to the number of
   * blocks. It lives as long as the enclosing scope.
   */
  readonly observe?: (depth: number, stream: Tensor) => void;
}

/** How a decoder is written. */
export interface SaveOptions extends WriteHuggingFaceOptions {
  /** How weights are stored; by default what the decoder computes in. */
  readonly dtype?: "f32" | "bf16" | "f16";
}

/**
 * A stack of blocks between an embedding and a head, as its spec describes it:
 *
 *     x = embedding(ids);  x = block(x) for each block;  logits = norm(x) · headᵀ
 *
 * ids: i32 [batch, time], or [tokens] of packed sequences; x: [batch, time, dim]; logits: [batch, time, vocab].
 *
 * @example
 * ```ts
 * import { Decoder, type DecoderSpec } from "@denotron/denotron/nn";
 * import { scope, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * const spec: DecoderSpec = {
 *   vocab: 32, dim: 16, context: 64, headDim: 8, tied: true,
 *   norm: { kind: "rms_norm", eps: 1e-5 },
 *   rope: { theta: 10_000, fraction: 1, scaling: null },
 *   blocks: [
 *     { attention: { kind: "gqa", heads: 2, kvHeads: 1 }, ffn: { kind: "relu2", hidden: 64 } },
 *     { attention: null, ffn: { kind: "gated", hidden: 40, activation: "silu" } },
 *   ],
 * };
 * using decoder = new Decoder(spec);
 * const ids = [[1, 2, 3]];
 * const shape = scope(() => decoder.logits(Tensor.from(ids, [1, 3], { dtype: "i32" })).shape);
 * assert.deepEqual(shape, [1, 3, 32]);
 * ```
 */
export class Decoder extends Module {
  /** The table of ids. */
  readonly embedding: Embedding;
  /** From the embedding to the head. */
  readonly blocks: readonly Block[];
  /** What the head reads is normalised by this. */
  readonly norm: Norm;
  /** Null when the head is the embedding. */
  readonly head: Head | null;
  /** What it computes in. */
  readonly dtype: "f32" | "bf16";
  /** Whether backward computes what is inside a block again instead of keeping it. */
  checkpointBlocks: boolean;
  readonly #arena: ParameterArena | null;
  readonly #rope: Rope;

  /** A decoder with random weights, unless `from` has others. Throws SpecError for a spec that makes no sense. */
  constructor(readonly spec: DecoderSpec, options: NewDecoderOptions = {}) {
    super();
    validateSpec(spec);
    const { dtype = "f32", train = true, checkpointBlocks = false, seed = 0, from } = options;
    [this.dtype, this.checkpointBlocks] = [dtype, checkpointBlocks];
    this.#arena = train ? new ParameterArena(parameters(spec), dtype) : null;
    const weights = this.#arena?.parameters ?? allocateWeights(spec, dtype);
    const { theta, fraction, scaling } = spec.rope, { headDim } = spec;
    const positions = options.context ?? spec.context;
    this.#rope = new Rope({ theta, fraction, scaling, headDim, positions });
    this.embedding = new Embedding(weights.get("embedding.weight")!);
    this.blocks = spec.blocks.map((block, i) =>
      makeBlock(spec, block, weights, this.#rope, `blocks.${i}`)
    );
    this.norm = makeNorm(spec, weights, "norm");
    this.head = spec.tied ? null : new Head(weights.get("head.weight")!);
    if (this.#arena) this.own(this.#arena);
    if (from) this.load(from);
    else this.#initialize(seed);
  }

  /**
   * A decoder with the weights of a checkpoint: a Hugging Face folder, a GGUF file, a llama2.c file, or one that is open.
   * Everything is checked before anything is allocated, and one tensor is read at a time.
   * Throws CheckpointError, naming tensors and shapes, and what the format's reader throws.
   */
  static load(
    source: string | Pick<CheckpointSource, "spec" | "entries">,
    options: DecoderOptions = {},
  ): Decoder {
    if (typeof source === "string") {
      using opened = openCheckpoint(source);
      return Decoder.load(opened, options);
    }
    checkEntries(source.spec, source.entries);
    return new Decoder(source.spec, { ...options, from: source.entries });
  }

  #initialize(seed: number): void {
    const weights = this.weights();
    for (const slot of parameters(this.spec)) {
      decoderInitializer(this.spec, slot, seed)(weights.get(slot.name)!, slot.name);
    }
    this.#arena?.refresh();
  }

  /** Masters and gradients of all parameters; null when it was made without `train`. */
  get arena(): ParameterArena | null {
    return this.#arena;
  }

  /** The longest sequence that it has room for, in tokens. */
  get context(): number {
    return this.#rope.positions;
  }

  /** [vocab, dim]: what the head multiplies by; the embedding's table when they are tied. */
  get headWeight(): Tensor {
    return this.head?.weight ?? this.embedding.weight;
  }

  /** ids: i32 [batch, time] or [tokens] → what the head reads, [..., dim]. */
  hidden(ids: Tensor, options: ForwardOptions = {}): Tensor {
    const { cache, lengths, placement } = options;
    if (cache) return noGrad(() => this.#continue(ids, cache, options));
    if (!lengths && !placement) return this.#run(ids, wholeSequences, options);
    const x = this.#run(ids.reshape([-1]), placement ?? packed(lengths!), options);
    return x.reshape([...ids.shape, this.spec.dim]);
  }

  /** ids: i32 [batch, time] or [tokens] → f32 [..., vocab]. */
  logits(ids: Tensor, options: ForwardOptions = {}): Tensor {
    return this.project(this.hidden(ids, options));
  }

  /** What `hidden()` returns, or rows of it, [..., dim] → f32 [..., vocab]. */
  project(hidden: Tensor): Tensor {
    return this.head?.forward(hidden) ?? projectWide(hidden, this.embedding.weight);
  }

  /** Tokens that follow those in the cache. */
  #continue(ids: Tensor, cache: DecoderCache, options: ForwardOptions): Tensor {
    const time = ids.shape.at(-1) ?? 1;
    const counts = options.lengths ?? new Array<number>(ids.size / time).fill(time);
    const x = this.#run(ids.reshape([-1]), cache.place(counts), options);
    cache.commit();
    return x.reshape([...ids.shape, this.spec.dim]);
  }

  #run(ids: Tensor, place: Placement, { cache, observe }: ForwardOptions): Tensor {
    let x = this.embedding.forward(ids);
    observe?.(0, x);
    this.blocks.forEach((block, i) => {
      const next = scope(() => this.#forwardBlock(block, x, place, cache?.layers[i] ?? null));
      // The tape keeps what it needs; without one, and without an observer, nobody does.
      if (next !== x && !observe) x[Symbol.dispose]();
      x = next;
      observe?.(i + 1, x);
    });
    return this.norm.forward(x);
  }

  #forwardBlock(block: Block, x: Tensor, place: Placement, cache: LayerCache | null): Tensor {
    if (!this.checkpointBlocks || block.isIdentity) return block.forward(x, place, cache);
    // The view gathers the gradients of x before they reach the checkpoint, rounded as they are without one.
    const body = (x: Tensor, ...tensors: readonly Tensor[]): Tensor =>
      block.forward(x.reshape(x.shape), fromTensors(place, tensors), cache);
    return checkpoint(body, x, ...toTensors(place));
  }

  /** An empty cache for `batch` sequences, of the decoder's context unless told otherwise. */
  cache({ batch, capacity = this.context }: Omit<KvCacheOptions, "dtype">): KvCache {
    return new KvCache(this.spec, { batch, capacity, dtype: this.dtype });
  }

  /**
   * Writes a Hugging Face folder, which appears whole: config and weights, in the format that can express the spec.
   * Throws CheckpointError while low-rank adapters are not merged, and what `writeHuggingFace()` throws.
   */
  override save(folder: string, { dtype = this.dtype, ...options }: SaveOptions = {}): void {
    const adapted = [...this.modules().values()].some((part) =>
      part instanceof LowRank && part.active
    );
    if (adapted) {
      throw new CheckpointError(
        `save: the decoder has low-rank adapters. merge() them first, or save them alone with saveLora().`,
      );
    }
    const state = this.state();
    const own = parameters(this.spec).map(({ name }) => [name, state.get(name)!] as const);
    writeHuggingFace(
      folder,
      { spec: this.spec, entries: castEntries(new Map(own), dtype) },
      options,
    );
  }

  /** Gives the memory of weights and tables back. Safe to call twice. */
  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#rope[Symbol.dispose]();
  }
}

/** A tensor for each parameter, and nothing else. */
function allocateWeights(spec: DecoderSpec, dtype: "f32" | "bf16"): Weights {
  return new Map(
    parameters(spec).map(({ name, shape }) => [name, Tensor.empty(shape, { dtype }).keep()]),
  );
}
