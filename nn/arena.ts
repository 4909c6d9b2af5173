/**
 * All parameters of a model in one run of memory.
 *
 * @module
 */
import {
  formatShape,
  noGrad,
  scope,
  type Shape,
  ShapeError,
  sizeOf,
  Tensor,
} from "../tensor/mod.ts";
import type { Module } from "./module.ts";

/** A parameter to make room for. */
export interface ParameterSlot {
  /** Dotted name, such as `blocks.3.attention.q.weight`. */
  readonly name: string;
  /** Sizes of the axes. */
  readonly shape: Shape;
  /** Whether weight decay applies; by default to matrices only. */
  readonly decays?: boolean;
}

/** Elements `start` to `end` of an arena, which an optimizer updates in one call. */
export interface ArenaRange {
  /** The first element. */
  readonly start: number;
  /** The first element after them. */
  readonly end: number;
  /** The first so many of them decay. */
  readonly decayCount: number;
}

/** Parameters start at multiples of 64 bytes, as kernels like it. */
const alignment = 16;

/** Where a parameter lies. */
interface Place {
  readonly slot: ParameterSlot;
  readonly start: number;
  readonly end: number;
}

/**
 * Parameters side by side: f32 master weights, f32 gradients, and, for bf16 compute, a bf16 copy. The optimizer is then one
 * call, an all-reduce is one call, and a checkpoint is one stream. Those that decay come first.
 *
 * @example
 * ```ts
 * import { ParameterArena } from "@denotron/denotron/nn";
 * using arena = new ParameterArena([{ name: "weight", shape: [4, 3] }, { name: "bias", shape: [4] }]);
 * console.assert(arena.parameters.get("weight")!.requiresGrad);
 * console.assert(arena.decayCount === 16); // the weight, padded to 64 bytes
 * ```
 */
export class ParameterArena implements Disposable {
  /** f32 `[n]`: what the optimizer updates. */
  readonly master: Tensor;
  /** f32 `[n]`: what `backward()` adds to. */
  readonly gradient: Tensor;
  /** `[n]`: what the model computes with; the master itself in f32. */
  readonly compute: Tensor;
  /** Leaves by name, in the order given. Each is a view of `compute`, its `grad` a view of `gradient`. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** The first so many elements decay. */
  readonly decayCount: number;
  readonly #places: readonly Place[];
  readonly #masters = new Map<Tensor, Tensor>();

  /** Zeros for `slots`. Throws ShapeError when two have one name. */
  constructor(slots: readonly ParameterSlot[], dtype: "f32" | "bf16" = "f32") {
    this.#places = placeSlots(slots);
    const size = this.#places.at(-1)?.end ?? 0;
    this.decayCount = this.#places.findLast(({ slot }) => decays(slot))?.end ?? 0;
    this.master = Tensor.zeros([size]).keep();
    this.gradient = Tensor.zeros([size]).keep();
    this.compute = dtype === "f32" ? this.master : Tensor.zeros([size], { dtype }).keep();
    const places = new Map(this.#places.map((place) => [place.slot.name, place]));
    this.parameters = new Map(slots.map(({ name }) => [name, this.#leaf(places.get(name)!)]));
  }

  /**
   * Moves the parameters of `module` that require gradients into one arena, which the module owns from then on. Its
   * fields hold the arena's leaves afterwards; tensors taken from them before are disposed.
   * Throws TypeError when the parameters differ in type, or one lies in another arena already.
   *
   * @example
   * ```ts
   * import { Linear, normal, parameter, ParameterArena } from "@denotron/denotron/nn";
   * using layer = new Linear(parameter([4, 3], normal(0.02)));
   * const arena = ParameterArena.adopt(layer);
   * console.assert(layer.weight === arena.parameters.get("weight"));
   * ```
   */
  static adopt(module: Module): ParameterArena {
    const leaves = new Map(
      module.namedParameters().entries().filter(([, leaf]) => leaf.requiresGrad),
    );
    checkAdoptable(module, leaves);
    const dtype = leaves.values().next().value?.dtype === "bf16" ? "bf16" : "f32";
    const slots = leaves.entries().map(([name, { shape }]) => ({ name, shape }));
    const arena = new ParameterArena([...slots], dtype);
    const moved = new Map<Tensor, Tensor>();
    for (const [name, leaf] of leaves) {
      const own = arena.parameters.get(name)!;
      arena.masterOf(own)!.assign(leaf);
      moved.set(leaf, own);
    }
    arena.refresh();
    module.replaceParameters(moved);
    module.own(arena);
    for (const leaf of leaves.values()) leaf[Symbol.dispose]();
    return arena;
  }

  /** The f32 weights behind a leaf of this arena: the leaf itself in f32; undefined for another tensor. */
  masterOf(leaf: Tensor): Tensor | undefined {
    return this.#masters.get(leaf);
  }

  /** Runs of elements whose parameters are not frozen: what an optimizer may touch. One run, unless some are frozen. */
  trainable(): ArenaRange[] {
    const ranges: ArenaRange[] = [];
    for (const { slot, start, end } of this.#places) {
      if (!this.parameters.get(slot.name)!.requiresGrad) continue;
      const last = ranges.at(-1), joins = last?.end === start;
      const from = joins ? last.start : start, before = joins ? last.decayCount : 0;
      if (joins) ranges.pop();
      ranges.push({ start: from, end, decayCount: decays(slot) ? end - from : before });
    }
    return ranges;
  }

  #leaf({ slot: { shape }, start }: Place): Tensor {
    const part = (flat: Tensor): Tensor =>
      noGrad(() => scope(() => flat.slice(0, start, start + sizeOf(shape)).reshape(shape).keep()));
    const leaf = part(this.compute).requireGrad();
    leaf.grad = part(this.gradient);
    this.#masters.set(leaf, this.compute === this.master ? leaf : part(this.master));
    return leaf;
  }

  /** Forget all gradients. */
  zeroGrad(): void {
    this.gradient.fill(0);
  }

  /** Bring the compute copy up to date with the master weights. */
  refresh(): void {
    if (this.compute !== this.master) this.compute.assign(this.master);
  }

  /** Give the memory back. */
  [Symbol.dispose](): void {
    for (const [leaf, master] of this.#masters) {
      leaf[Symbol.dispose]();
      master[Symbol.dispose]();
    }
    for (const flat of [this.master, this.gradient, this.compute]) flat[Symbol.dispose]();
  }
}

function decays({ decays, shape }: ParameterSlot): boolean {
  return decays ?? shape.length >= 2;
}

/** One after the other, those that decay first. */
function placeSlots(slots: readonly ParameterSlot[]): Place[] {
  const names = new Set<string>();
  let end = 0;
  return [...slots.filter(decays), ...slots.filter((slot) => !decays(slot))].map((slot) => {
    if (names.has(slot.name)) {
      throw new ShapeError(
        `arena: two parameters are called "${slot.name}". Give each a name of its own.`,
      );
    }
    names.add(slot.name);
    const start = end;
    end += Math.ceil(sizeOf(slot.shape) / alignment) * alignment;
    return { slot, start, end };
  });
}

function checkAdoptable(module: Module, leaves: ReadonlyMap<string, Tensor>): void {
  const held = new Set(module.arenas().flatMap((arena) => [...arena.parameters.values()]));
  const first = leaves.values().next().value;
  for (const [name, leaf] of leaves) {
    const what = `arena: ${name} ${formatShape(leaf.shape)} ${leaf.dtype}`;
    if (held.has(leaf)) {
      throw new TypeError(`${what} lies in another arena. Freeze it, or train with that one.`);
    }
    if (leaf.dtype !== first!.dtype || (leaf.dtype !== "f32" && leaf.dtype !== "bf16")) {
      throw new TypeError(
        `${what} does not fit, others are ${first!.dtype}. Make all of them f32 or all bf16.`,
      );
    }
  }
}
