/**
 * Low-rank adaptation: training small factors beside frozen weights.
 *
 * @module
 */
import { RandomKey } from "../tensor/mod.ts";
import { ParameterArena } from "./arena.ts";
import { Dropout } from "./dropout.ts";
import { constant, parameter, uniform } from "./init.ts";
import { Linear } from "./linear.ts";
import { LowRank } from "./low_rank.ts";
import type { Module } from "./module.ts";

/** What adapters are like. */
export interface LoraShape {
  /** Rows of A and columns of B. */
  readonly rank: number;
  /** Products are multiplied by alpha / rank; the rank by default. */
  readonly alpha?: number;
  /** Probability that an input of A is dropped while training; 0 by default. */
  readonly dropout?: number;
  /** Multiply by alpha / √rank instead (Kalajdzievski, 2023); false by default. */
  readonly rankStabilized?: boolean;
}

/** Which layers get adapters, and how those start. */
export interface LoraOptions extends LoraShape {
  /** Names of linear layers, such as `blocks.3.attention.q`, match this; all of them by default. */
  readonly targets?: RegExp;
  /** Decides the initial factors, each by its name, and what is dropped; 0 by default. */
  readonly seed?: number;
}

/** The adapters of a module. They belong to it, and are disposed with it. */
export class Lora {
  /** Made by `addLora()` and `loadLora()`. */
  constructor(
    /** What was adapted. */
    readonly module: Module,
    readonly shape: Required<LoraShape>,
    /** Adapted layers by name. */
    readonly layers: ReadonlyMap<string, Linear>,
    /** The factors, their masters and gradients: what an optimizer updates. */
    readonly arena: ParameterArena,
  ) {}

  /**
   * Adds every adapter to its layer's weight, so that the module is as fast as it was without; adapters are inactive then.
   * The sums are computed in f32. Returns the largest difference to them that a weight has, which is 0 in f32.
   */
  merge(): number {
    const weights = this.module.weights();
    let largest = 0;
    for (const [name, { adapter }] of this.layers) {
      if (!adapter?.active) continue;
      largest = Math.max(largest, adapter.merge(weights.get(`${name}.weight`)!));
    }
    for (const arena of this.module.arenas()) arena.refresh();
    return largest;
  }

  /** Puts all weights back as they were before `merge()`, bit for bit. */
  unmerge(): void {
    const weights = this.module.weights();
    for (const [name, { adapter }] of this.layers) adapter?.unmerge(weights.get(`${name}.weight`)!);
    for (const arena of this.module.arenas()) arena.refresh();
  }
}

/**
 * Freezes a module and puts an adapter beside each linear layer whose name matches. B starts at 0, so nothing changes at
 * first. Load the module with `train: false`, since the frozen weights need no gradients.
 * Throws TypeError when no layer matches, or one has an adapter already.
 *
 * @example
 * ```ts
 * import { addLora, Linear, normal, parameter } from "@denotron/denotron/nn";
 * import assert from "node:assert/strict";
 *
 * using layer = new Linear(parameter([64, 32], normal(0.02)));
 * const lora = addLora(layer, { rank: 4, alpha: 8 });
 * assert.deepEqual([...lora.arena.parameters.keys()], ["adapter.a", "adapter.b"]);
 * ```
 */
export function addLora(module: Module, { targets = /^/, ...options }: LoraOptions): Lora {
  const layers = linearLayers(module);
  const chosen = new Map(layers.entries().filter(([name]) => name.search(targets) >= 0));
  if (chosen.size === 0) {
    throw new TypeError(
      `lora: no linear layer matches ${targets} (0 of ${layers.size}). Their names are ${
        [...layers.keys()].slice(0, 7).join(", ")
      }, …`,
    );
  }
  return attachLora(module, chosen, options);
}

/** Adapters beside these layers. */
export function attachLora(
  module: Module,
  layers: ReadonlyMap<string, Linear>,
  { rank, alpha = rank, dropout = 0, rankStabilized = false, seed = 0 }: Omit<
    LoraOptions,
    "targets"
  >,
): Lora {
  const taken = layers.entries().find(([, layer]) => layer.adapter !== null);
  if (taken) throw new TypeError(`lora: ${taken[0]} has an adapter already. Adapt it once.`);
  module.freeze();
  const scale = alpha / (rankStabilized ? Math.sqrt(rank) : rank);
  for (const [name, layer] of layers) {
    const [out, size] = layer.weight.shape, dtype = layer.weight.dtype === "bf16" ? "bf16" : "f32";
    // As PEFT and PyTorch start them: A as a linear layer's weight, B with zeros.
    const bound = 1 / Math.sqrt(size),
      key = new RandomKey(seed).derive("lora dropout").derive(name);
    layer.adapter = new LowRank(
      parameter([rank, size], uniform(bound, seed), `${name}.adapter.a`, dtype),
      parameter([out, rank], constant(0), `${name}.adapter.b`, dtype),
      scale,
      new Dropout(dropout, key),
    ).train(module.training);
  }
  const arena = ParameterArena.adopt(module);
  return new Lora(module, { rank, alpha, dropout, rankStabilized }, layers, arena);
}

/** The linear layers of a module by name. */
export function linearLayers(module: Module): Map<string, Linear> {
  const found = module.modules().entries().flatMap(([name, part]): [string, Linear][] =>
    part instanceof Linear ? [[name, part]] : []
  );
  return new Map(found);
}

/** What `body` returns while the adapters of a module add nothing: the model as it was before they were trained. */
export function withoutLora<T>(module: Module, body: () => T): T {
  const adapters = [...module.modules().values()].filter((part) => part instanceof LowRank);
  const before = adapters.map(({ suspended }) => suspended);
  for (const adapter of adapters) adapter.suspended = true;
  try {
    return body();
  } finally {
    adapters.forEach((adapter, i) => adapter.suspended = before[i]);
  }
}
