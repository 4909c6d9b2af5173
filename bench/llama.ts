/**
 * A Llama-shaped decoder in bare ops, for benches: what the ops can do before any module is built on them.
 *
 * @module
 */
import { ParameterArena, type ParameterSlot } from "../nn/arena.ts";
import {
  adamw,
  clipScale,
  globalNorm,
  linearCrossEntropy,
  noGrad,
  RandomKey,
  ropeTable,
  scope,
  Tensor,
} from "../tensor/mod.ts";

/** Sizes of a decoder. The head is tied to the embedding. */
export interface LlamaShape {
  readonly vocab: number;
  readonly dim: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly hidden: number;
}

const eps = 1e-5;

/** A decoder with its optimizer. */
export class Llama implements Disposable {
  readonly #arena: ParameterArena;
  readonly #m: Tensor;
  readonly #v: Tensor;
  readonly #rope: Tensor;
  #step = 0;

  /** Random weights for `shape`, for sequences of up to `context` tokens. */
  constructor(readonly shape: LlamaShape, context: number, dtype: "f32" | "bf16") {
    const { vocab, dim, layers, heads, kvHeads, hidden } = shape, headDim = dim / heads;
    const slots: ParameterSlot[] = [{ name: "embedding", shape: [vocab, dim] }, {
      name: "norm",
      shape: [dim],
    }];
    for (let i = 0; i < layers; i++) {
      slots.push(
        { name: `${i}.attention.norm`, shape: [dim] },
        { name: `${i}.attention.qkv`, shape: [(heads + 2 * kvHeads) * headDim, dim] },
        { name: `${i}.attention.out`, shape: [dim, heads * headDim] },
        { name: `${i}.ffn.norm`, shape: [dim] },
        { name: `${i}.ffn.gate`, shape: [hidden, dim] },
        { name: `${i}.ffn.up`, shape: [hidden, dim] },
        { name: `${i}.ffn.down`, shape: [dim, hidden] },
      );
    }
    this.#arena = new ParameterArena(slots, dtype);
    scope(() =>
      this.#arena.master.assign(
        Tensor.normal(this.#arena.master.shape, new RandomKey(0), { std: 0.02 }),
      )
    );
    noGrad(() =>
      slots.filter(({ name }) => name.endsWith("norm")).forEach(({ name }) =>
        this.#weight(name).fill(1)
      )
    );
    this.#arena.refresh();
    this.#m = Tensor.zeros([this.#arena.master.size]).keep();
    this.#v = Tensor.zeros([this.#arena.master.size]).keep();
    this.#rope = ropeTable({ theta: 10000, headDim, positions: context }).keep();
  }

  /** Number of parameters. */
  get parameters(): number {
    return this.#arena.parameters.values().reduce((sum, weight) => sum + weight.size, 0);
  }

  /** Bytes it holds between steps. */
  get bytes(): number {
    const { master, gradient, compute } = this.#arena;
    const flats = new Set([master, gradient, compute, this.#m, this.#v, this.#rope]);
    return flats.values().reduce((sum, flat) => sum + flat.storage.bytes, 0);
  }

  #weight(name: string): Tensor {
    return this.#arena.parameters.get(name)!;
  }

  /** Mean cross-entropy of `targets` after `ids`, both i32 [batch, time]. */
  loss(ids: Tensor, targets: Tensor): Tensor {
    const { dim, layers, heads, kvHeads } = this.shape, headDim = dim / heads;
    const [batch, time] = ids.shape;
    let x = ids.embedding(this.#weight("embedding")); // [batch, time, dim]
    for (let i = 0; i < layers; i++) {
      const normed = x.rmsNorm(this.#weight(`${i}.attention.norm`), eps);
      const qkv = normed.linear(this.#weight(`${i}.attention.qkv`))
        .reshape([batch, time, heads + 2 * kvHeads, headDim]);
      const q = qkv.slice(2, 0, heads).rope(this.#rope);
      const k = qkv.slice(2, heads, heads + kvHeads).rope(this.#rope);
      const attended = q.attention(k, qkv.slice(2, heads + kvHeads), { causal: true });
      x = x.add(attended.reshape([batch, time, dim]).linear(this.#weight(`${i}.attention.out`)));
      const inner = x.rmsNorm(this.#weight(`${i}.ffn.norm`), eps);
      const gated = inner.linear(this.#weight(`${i}.ffn.gate`)).swiglu(
        inner.linear(this.#weight(`${i}.ffn.up`)),
      );
      x = x.add(gated.linear(this.#weight(`${i}.ffn.down`)));
    }
    const hidden = x.rmsNorm(this.#weight("norm"), eps).reshape([batch * time, dim]);
    return linearCrossEntropy(hidden, this.#weight("embedding"), targets.reshape([batch * time]))
      .loss;
  }

  /** One step of AdamW with clipping; returns the loss. */
  step(ids: Tensor, targets: Tensor): number {
    const { master, gradient, compute, decayCount } = this.#arena;
    return scope(() => {
      this.#arena.zeroGrad();
      const loss = this.loss(ids, targets);
      loss.backward();
      adamw({
        master,
        gradient,
        m: this.#m,
        v: this.#v,
        ...compute === master ? {} : { copy: compute },
      }, {
        lr: 1e-3,
        beta2: 0.95,
        weightDecay: 0.1,
        decayCount,
        step: ++this.#step,
        gradScale: clipScale(globalNorm(gradient), 1),
      });
      return loss.item();
    });
  }

  /** Give the memory back. */
  [Symbol.dispose](): void {
    for (const owned of [this.#arena, this.#m, this.#v, this.#rope]) owned[Symbol.dispose]();
  }
}
