/**
 * Memory for keys and values, in blocks that sequences share.
 *
 * @module
 */
import type { DecoderSpec } from "../nn/mod.ts";
import { bytesOf, noGrad, scope, Tensor } from "../tensor/mod.ts";

/** Keys and values of one layer, [blocks · blockTokens, kvHeads, headDim] each. */
export interface LayerBlocks {
  /** Block b holds rows b · blockTokens and on. */
  readonly keys: Tensor;
  /** Likewise. */
  readonly values: Tensor;
}

/** Sizes of the memory. */
export interface KvBlocksOptions {
  /** How many blocks. */
  readonly blocks: number;
  /** Tokens of a block. */
  readonly blockTokens: number;
  /** Element type. */
  readonly dtype: "f32" | "bf16";
}

/** Bytes that the keys and values of one token take, in all layers that have attention. */
export function kvBytesPerToken(spec: DecoderSpec, dtype: "f32" | "bf16"): number {
  const kvHeads = spec.blocks.reduce(
    (sum, { attention }) => sum + (attention?.kind === "gqa" ? attention.kvHeads : 0),
    0,
  );
  return 2 * kvHeads * spec.headDim * bytesOf(dtype);
}

/** The memory of all layers. Layers without attention take none. */
export class KvBlocks implements Disposable {
  /** One for each block of the decoder; null where it has no attention. */
  readonly layers: readonly (LayerBlocks | null)[];
  /** Tokens of a block. */
  readonly blockTokens: number;

  /** Memory for a decoder of this spec. */
  constructor(spec: DecoderSpec, { blocks, blockTokens, dtype }: KvBlocksOptions) {
    this.blockTokens = blockTokens;
    this.layers = spec.blocks.map(({ attention }) => {
      if (attention?.kind !== "gqa") return null;
      const shape = [blocks * blockTokens, attention.kvHeads, spec.headDim];
      // Kernels must never meet uninitialised numbers, even where they multiply them by nothing.
      const [keys, values] = [0, 1].map(() => Tensor.zeros(shape, { dtype }).keep());
      return { keys, values };
    });
  }

  /** Memory it takes, in bytes. */
  get bytes(): number {
    return this.#tensors().reduce((sum, { size, dtype }) => sum + size * bytesOf(dtype), 0);
  }

  /** Copies what one block holds to another, in all layers. */
  copy(from: number, to: number): void {
    const rows = (x: Tensor, block: number): Tensor =>
      x.slice(0, block * this.blockTokens, (block + 1) * this.blockTokens);
    noGrad(() =>
      scope(() => {
        for (const tensor of this.#tensors()) rows(tensor, to).assign(rows(tensor, from));
      })
    );
  }

  #tensors(): Tensor[] {
    return this.layers.flatMap((layer) => layer ? [layer.keys, layer.values] : []);
  }

  /** Gives the memory back. Safe to call twice. */
  [Symbol.dispose](): void {
    for (const tensor of this.#tensors()) tensor[Symbol.dispose]();
  }
}
