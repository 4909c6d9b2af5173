/**
 * Keys and values of earlier tokens.
 *
 * @module
 */
import { bytesOf, packedSequences, ShapeError, Tensor } from "../tensor/mod.ts";
import { type Placement, positionsFrom } from "./placement.ts";
import type { DecoderSpec } from "./spec.ts";

/** The keys and values of one attention layer. */
export interface LayerCache {
  /** Adds those of new tokens, [tokens, kvHeads, headDim], and returns what holds those of all: [slots, kvHeads, headDim]. */
  append(k: Tensor, v: Tensor): readonly [keys: Tensor, values: Tensor];
}

/** What a decoder asks of a cache. */
export interface DecoderCache {
  /** One for each block; null where the block has no attention. */
  readonly layers: readonly (LayerCache | null)[];
  /** Where `counts[s]` new tokens of each sequence s stand. The caches of layers append there from then on. */
  place(counts: readonly number[]): Placement;
  /** The tokens last placed are there to stay. */
  commit(): void;
}

/** Sizes of a cache. */
export interface KvCacheOptions {
  /** How many sequences. */
  readonly batch: number;
  /** The longest sequence, in tokens; the decoder's context by default. */
  readonly capacity?: number;
  /** The decoder's element type; f32 by default. */
  readonly dtype?: "f32" | "bf16";
}

/**
 * Room for `capacity` tokens of each of `batch` sequences: [batch, capacity, kvHeads, headDim] twice for each layer with
 * attention, nothing for the others. Sequences may have different lengths.
 *
 * @example
 * ```ts
 * import { type DecoderSpec, KvCache } from "@denotron/denotron/nn";
 * const spec: DecoderSpec = {
 *   vocab: 512, dim: 64, context: 512, headDim: 8, tied: true,
 *   norm: { kind: "rms_norm", eps: 1e-5 },
 *   rope: { theta: 10_000, fraction: 1, scaling: null },
 *   blocks: [{ attention: { kind: "gqa", heads: 8, kvHeads: 4 }, ffn: null }],
 * };
 * using cache = new KvCache(spec, { batch: 2, capacity: 100 });
 * console.assert(cache.bytes === 2 * 2 * 100 * 4 * 8 * 4);
 * ```
 */
export class KvCache implements DecoderCache, Disposable {
  /** How many sequences. */
  readonly batch: number;
  /** The longest sequence, in tokens. */
  readonly capacity: number;
  readonly layers: readonly (LayerCache | null)[];
  readonly #tensors: readonly Tensor[];
  readonly #lengths: number[];
  #counts: readonly number[] = [];

  /** An empty cache for decoders of this spec. */
  constructor(
    spec: DecoderSpec,
    { batch, capacity = spec.context, dtype = "f32" }: KvCacheOptions,
  ) {
    [this.batch, this.capacity] = [batch, capacity];
    this.#lengths = new Array<number>(batch).fill(0);
    const tensors: Tensor[] = [];
    this.layers = spec.blocks.map(({ attention }) => {
      if (attention?.kind !== "gqa") return null;
      const shape = [batch, capacity, attention.kvHeads, spec.headDim];
      // Kernels must never meet uninitialised numbers, even where they multiply them by nothing.
      const [keys, values] = [0, 1].map(() => Tensor.zeros(shape, { dtype }).keep());
      tensors.push(keys, values);
      return { append: (k, v) => [this.#append(keys, k), this.#append(values, v)] };
    });
    this.#tensors = tensors;
  }

  /** Tokens that each sequence holds. */
  get lengths(): readonly number[] {
    return this.#lengths;
  }

  /** Memory it takes, in bytes. */
  get bytes(): number {
    return this.#tensors.reduce((sum, { size, dtype }) => sum + size * bytesOf(dtype), 0);
  }

  /** Throws ShapeError when there are not as many counts as sequences, or a sequence would not fit. */
  place(counts: readonly number[]): Placement {
    if (counts.length !== this.batch) {
      throw new ShapeError(
        `cache: new tokens for ${counts.length} sequences (${counts.length} vs ${this.batch}). Give one count for each.`,
      );
    }
    const keyLengths = counts.map((count, s) => this.#lengths[s] + count);
    const full = keyLengths.findIndex((length) => length > this.capacity);
    if (full >= 0) {
      throw new ShapeError(
        `cache: sequence ${full} does not fit, ${this.#lengths[full]} tokens and ${
          counts[full]
        } more ` +
          `(${
            keyLengths[full]
          } vs ${this.capacity}). Make a cache of more capacity, or truncate() it.`,
      );
    }
    this.#counts = counts;
    const keyStarts = counts.map((_, s) => s * this.capacity);
    return {
      positions: positionsFrom(counts, this.#lengths),
      sequences: packedSequences(counts, { keyLengths, keyStarts }),
    };
  }

  commit(): void {
    this.#counts.forEach((count, s) => this.#lengths[s] += count);
    this.#counts = [];
  }

  /** Forgets all but the first `length` tokens of a sequence, or of every sequence. */
  truncate(length: number, sequence?: number): void {
    for (let s = 0; s < this.batch; s++) {
      if (sequence === undefined || sequence === s) {
        this.#lengths[s] = Math.min(this.#lengths[s], length);
      }
    }
  }

  /** Copies new rows [tokens, kvHeads, headDim] behind those of their sequences. Returns all slots as one axis. */
  #append(store: Tensor, rows: Tensor): Tensor {
    const counts = this.#counts, [count] = counts, [length] = this.#lengths;
    const even = counts.every((n, s) => n === count && this.#lengths[s] === length);
    if (even) {
      store.slice(1, length, length + count).assign(
        rows.reshape([this.batch, count, ...rows.shape.slice(1)]),
      );
    } else {
      let from = 0;
      counts.forEach((n, s) => {
        const start = this.#lengths[s];
        if (n > 0) {
          store.select(0, s).slice(0, start, start + n).assign(rows.slice(0, from, from + n));
        }
        from += n;
      });
    }
    return store.reshape([this.batch * this.capacity, ...store.shape.slice(2)]);
  }

  /** Gives the memory back. Safe to call twice. */
  [Symbol.dispose](): void {
    for (const tensor of this.#tensors) tensor[Symbol.dispose]();
  }
}
