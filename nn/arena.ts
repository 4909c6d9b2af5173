/**
 * All parameters of a model in one run of memory.
 *
 * @module
 */
import { noGrad, type Shape, ShapeError, sizeOf, Tensor } from "../tensor/mod.ts";

/** A parameter to make room for. */
export interface ParameterSlot {
  /** Dotted name, such as `blocks.3.attention.q.weight`. */
  readonly name: string;
  readonly shape: Shape;
  /** Whether weight decay applies; by default to matrices only. */
  readonly decays?: boolean;
}

/** Parameters start at multiples of 64 bytes, as kernels like it. */
const alignment = 16;

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

  /** Zeros for `slots`. Throws ShapeError when two have one name. */
  constructor(slots: readonly ParameterSlot[], dtype: "f32" | "bf16" = "f32") {
    const decays = (slot: ParameterSlot): boolean => slot.decays ?? slot.shape.length >= 2;
    const ordered = [...slots.filter(decays), ...slots.filter((slot) => !decays(slot))];
    const offsets = new Map<string, number>();
    let size = 0, decayCount = 0;
    for (const slot of ordered) {
      if (offsets.has(slot.name)) {
        throw new ShapeError(
          `arena: two parameters are called "${slot.name}". Give each a name of its own.`,
        );
      }
      offsets.set(slot.name, size);
      size += Math.ceil(sizeOf(slot.shape) / alignment) * alignment;
      if (decays(slot)) decayCount = size;
    }
    this.decayCount = decayCount;
    this.master = Tensor.zeros([size]).keep();
    this.gradient = Tensor.zeros([size]).keep();
    this.compute = dtype === "f32" ? this.master : Tensor.zeros([size], { dtype }).keep();
    this.parameters = new Map(
      slots.map(({ name, shape }) => [name, this.#leaf(offsets.get(name)!, shape)]),
    );
  }

  #leaf(offset: number, shape: Shape): Tensor {
    const part = (flat: Tensor): Tensor =>
      noGrad(() => flat.slice(0, offset, offset + sizeOf(shape)).reshape(shape)).keep();
    const leaf = part(this.compute).requireGrad();
    leaf.grad = part(this.gradient);
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
    for (const leaf of this.parameters.values()) leaf[Symbol.dispose]();
    for (const flat of [this.master, this.gradient, this.compute]) flat[Symbol.dispose]();
  }
}
