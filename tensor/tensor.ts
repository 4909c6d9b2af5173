/**
 * The tensor.
 *
 * @module
 */
import { attach, backward, type Caller, isRecording, noGrad, record } from "./autograd.ts";
import type { Backend } from "./backend/backend.ts";
import { allocate, checkInputs, checkOutputs, checkWritable } from "./call.ts";
import { defaultDevice, device, type DeviceName } from "./device.ts";
import { bytesOf, type DType, encode } from "./dtype.ts";
import { DTypeError, GradError, IndexError, NonFiniteError, ShapeError } from "./errors.ts";
import { Handle } from "./handle.ts";
import {
  broadcastShapes,
  checkShape,
  contiguousStrides,
  expandLayout,
  formatShape,
  inferShape,
  isContiguous,
  reshapeLayout,
  resolveAxis,
  sameShape,
  type Shape,
  sizeOf,
} from "./layout.ts";
import { flatten, type Nested, shapeOf } from "./nested.ts";
import type { Op, ViewOp } from "./op.ts";
import type { AttentionOptions, AttentionParams } from "./ops/attention.ts";
import type { LayerNormOptions } from "./ops/layer_norm.ts";
import * as ops from "./ops/mod.ts";
import type { Pointwise } from "./ops/pointwise.ts";
import type { NormalOptions, RandomOptions } from "./ops/random.ts";
import type { RopeInputs, RopeOptions } from "./ops/rope.ts";
import type { RandomKey } from "./random.ts";
import { type Axes, reduce } from "./reduce_axes.ts";
import { scope } from "./scope.ts";

/** Where a tensor is made, and of what type. */
export interface TensorOptions {
  /** Element type; f32 by default. */
  readonly dtype?: DType;
  /** Device; by default `DENOTRON_DEVICE`, or else the CPU. */
  readonly device?: DeviceName;
}

/**
 * An n-dimensional array of numbers that remembers how it was computed. Calls run at once. Only `item()`, `data()` and
 * printing wait for a device.
 *
 * @example
 * ```ts
 * import { scope, Tensor } from "@denotron/denotron/tensor";
 * using weight = Tensor.from([[1, 2], [3, 4]]).requireGrad();
 * scope(() => weight.mul(weight).sum().backward());
 * console.assert(weight.grad!.data().join() === "2,4,6,8");
 * ```
 */
export class Tensor extends Handle {
  #grad: Tensor | null = null;

  /** Memory with undefined contents. */
  static empty(shape: Shape, options: TensorOptions = {}): Tensor {
    checkShape("empty", shape);
    const { dtype = "f32", device: name = defaultDevice() } = options;
    return make(device(name), [...shape], dtype);
  }

  /** Every element is `value`. */
  static full(shape: Shape, value: number, options: TensorOptions = {}): Tensor {
    return Tensor.empty(shape, options).fill(value);
  }

  /** Zeros. */
  static zeros(shape: Shape, options: TensorOptions = {}): Tensor {
    return Tensor.full(shape, 0, options);
  }

  /** Ones. */
  static ones(shape: Shape, options: TensorOptions = {}): Tensor {
    return Tensor.full(shape, 1, options);
  }

  /** 0, 1, …, `count` − 1. */
  static arange(count: number, options: TensorOptions = {}): Tensor {
    return Tensor.from(Float64Array.from({ length: count }, (_, i) => i), [count], options);
  }

  /** Uniform numbers in [0, 1) from `key`: element i is its number `offset` + i, whatever the shape. */
  static uniform(
    shape: Shape,
    key: RandomKey,
    { offset = 0, ...options }: TensorOptions & RandomOptions = {},
  ): Tensor {
    const result = Tensor.empty(shape, options);
    callInto(ops.uniform, [result], [result], { key, offset });
    return result;
  }

  /** Normal numbers from `key`: element i is its number `offset` + i, whatever the shape. */
  static normal(
    shape: Shape,
    key: RandomKey,
    { mean = 0, std = 1, offset = 0, ...options }: TensorOptions & NormalOptions = {},
  ): Tensor {
    const result = Tensor.empty(shape, options);
    callInto(ops.normal, [result], [result], { key, mean, std, offset });
    return result;
  }

  /**
   * Copy numbers. Without a shape, nested lists give it. Throws ShapeError when lists differ in length, or the number of
   * elements does not fit the shape.
   */
  static from(values: Nested, shape?: Shape, options: TensorOptions = {}): Tensor {
    const natural = shapeOf(values), wanted = shape ?? natural;
    if (sizeOf(natural) !== sizeOf(wanted)) {
      throw new ShapeError(
        `from: ${sizeOf(natural)} numbers do not fill ${formatShape(wanted)} (${
          sizeOf(wanted)
        }). Pass as many.`,
      );
    }
    const result = Tensor.empty(wanted, options);
    const bytes = new Uint8Array(result.size * bytesOf(result.dtype));
    encode(result.dtype, flatten(values), bytes.buffer, 0);
    result.storage.backend.write(result.storage, 0, bytes);
    return result;
  }

  /** Copy the raw bytes of elements in row-major order. Throws ShapeError when there are too few or too many. */
  static fromBytes(bytes: Uint8Array, shape: Shape, options: TensorOptions = {}): Tensor {
    const result = Tensor.empty(shape, options), needed = result.size * bytesOf(result.dtype);
    if (bytes.length !== needed) {
      throw new ShapeError(
        `fromBytes: ${bytes.length} bytes do not fill ${
          formatShape(shape)
        } ${result.dtype} (${needed}). Pass as many.`,
      );
    }
    result.storage.backend.write(result.storage, 0, bytes);
    return result;
  }

  /** Copies the raw bytes of the elements, in row-major order, to `target`. */
  override readBytes(target: Uint8Array): void {
    this.checkAlive("readBytes");
    const needed = this.size * bytesOf(this.dtype);
    if (target.length !== needed) {
      throw new ShapeError(
        `readBytes: ${target.length} bytes are not those of ${
          formatShape(this.shape)
        } ${this.dtype} (${needed}). Pass as many.`,
      );
    }
    if (isContiguous(this)) {
      return this.storage.backend.read(this.storage, this.offset * bytesOf(this.dtype), target);
    }
    using packed = noGrad(() => this.clone());
    packed.readBytes(target);
  }

  // --- Memory and gradients ---

  /** The gradient that `backward()` summed up, f32; null before there is one. It belongs to this tensor. */
  get grad(): Tensor | null {
    return this.#grad?.disposed ? null : this.#grad;
  }

  /** Sum gradients up in `grad` from now on, contiguous f32 of this shape; it is disposed with this tensor. */
  set grad(grad: Tensor | null) {
    checkInputs("grad", grad ? [this, grad] : [this]);
    const fits = grad === null ||
      (sameShape(grad.shape, this.shape) && grad.dtype === "f32" && isContiguous(grad));
    if (!fits) {
      throw new GradError(
        `grad: ${formatShape(grad.shape)} ${grad.dtype} cannot hold the gradient of ${
          formatShape(this.shape)
        }. ` +
          `Pass contiguous f32 of that shape.`,
      );
    }
    if (this.#grad && this.#grad !== grad) this.#grad[Symbol.dispose]();
    this.#grad = grad?.keep() ?? null;
  }

  /** Add `gradient` to `grad`. */
  addGrad(gradient: Tensor): void {
    if (this.disposed) return;
    const { grad } = this;
    if (grad) callInto(ops.copy, [gradient], [grad], { dtype: "f32", accumulate: true });
    else this.#grad = noGrad(() => call(ops.copy, [gradient], { dtype: "f32" }))[0].keep();
  }

  /** Another handle of the same memory that no scope owns and no gradient flows to. */
  alias(): Tensor {
    this.checkAlive("alias");
    return new Tensor(
      this.storage.retain(),
      this.shape,
      this.strides,
      this.offset,
      this.dtype,
      true,
    );
  }

  /** The same elements, cut off from how they were computed. No copy. */
  detach(): Tensor {
    checkInputs("detach", [this]);
    return new Tensor(this.storage.retain(), this.shape, this.strides, this.offset, this.dtype);
  }

  /**
   * Compute the gradient of this number with respect to every leaf it was computed from, and add it to their `grad`.
   * `seed` is the gradient of this tensor; it may be left out for a single element, a loss, which must then be finite:
   * a step must not spoil gradients with a loss that means nothing. Frees the tape as it goes. To look at the loss waits
   * for the device; with `check: false` it is not looked at.
   * Throws GradError when there is nothing to go back to, NonFiniteError for a loss of NaN or ±∞.
   */
  backward(seed?: Tensor, { check = true }: { readonly check?: boolean } = {}): void {
    checkInputs("backward", seed ? [this, seed] : [this]);
    if (!this.requiresGrad) {
      throw new GradError(
        `backward: ${
          formatShape(this.shape)
        } was computed from no tensor that requires a gradient. Call requireGrad() on one.`,
      );
    }
    if (!seed && this.size !== 1) {
      throw new GradError(
        `backward: ${
          formatShape(this.shape)
        } is not one number (${this.size}). Reduce it, or pass the gradient to start from.`,
      );
    }
    if (seed && !sameShape(seed.shape, this.shape)) {
      throw new ShapeError(
        `backward: the seed is ${formatShape(seed.shape)}, the tensor ${
          formatShape(this.shape)
        }. Pass the same shape.`,
      );
    }
    if (seed && seed.dtype !== this.dtype) {
      throw new DTypeError(
        `backward: the seed is ${seed.dtype}, the tensor ${this.dtype}. Cast it: seed.to("${this.dtype}").`,
      );
    }
    if (!seed && check && !Number.isFinite(this.item())) {
      throw new NonFiniteError(
        `backward: the loss is ${this.item()}. Skip this batch, or lower the learning rate; allFinite() finds where it began.`,
      );
    }
    const start = seed?.alias() ?? this.newEmpty(this.shape).fill(1).keep();
    try {
      if (this.node) backward(this.node, this.outputIndex, start, !seed);
      else this.addGrad(start);
    } finally {
      start[Symbol.dispose]();
    }
  }

  /** Give its memory and its gradient's back, once no view and no recorded call needs them. Safe to call twice. */
  override [Symbol.dispose](): void {
    if (this.disposed) return;
    super[Symbol.dispose]();
    this.#grad?.[Symbol.dispose]();
  }

  // --- In place; never recorded ---

  /** Set every element to `value`. Returns this tensor. */
  fill(value: number): this {
    if (isContiguous(this)) callInto(ops.fill, [this], [this], { value });
    else scope(() => void this.assign(this.newZeros([]).fill(value)));
    return this;
  }

  /**
   * Copy the elements of `other`, which broadcast and are cast. Returns this tensor. Throws ShapeError when they do not
   * fit, or this is an expanded view, whose elements share memory.
   */
  assign(other: Tensor): this {
    checkInputs("assign", [this, other]);
    expandLayout("assign", other, this.shape);
    scope(() => {
      const source = other.detach();
      // Memory that overlaps would be read after it was written.
      const apart = other.storage === this.storage ? source.clone() : source;
      callInto(ops.copy, [apart.expand(this.shape)], [this], { dtype: this.dtype });
    });
    return this;
  }

  /** Memory for another shape on this device, of this type by default; contents undefined. */
  newEmpty(shape: Shape, dtype: DType = this.dtype): Tensor {
    checkShape("newEmpty", shape);
    return make(this.storage.backend, [...shape], dtype);
  }

  /** Zeros of another shape, of this type and on this device. */
  newZeros(shape: Shape): Tensor {
    return this.newEmpty(shape).fill(0);
  }

  // --- Views: no copy ---

  /** The same elements in another shape; one size may be -1. Copies only where the strides do not allow a view. */
  reshape(shape: Shape): Tensor {
    const whole = inferShape("reshape", this.shape, shape);
    if (reshapeLayout(this, whole)) return view(ops.reshape, this, { shape: whole });
    using packed = this.clone();
    return view(ops.reshape, packed, { shape: whole });
  }

  /** Reorder the axes. */
  permute(axes: readonly number[]): Tensor {
    return view(ops.permute, this, { axes: [...axes] });
  }

  /** Swap two axes. */
  transpose(a: number, b: number): Tensor {
    const i = resolveAxis("transpose", a, this.rank), j = resolveAxis("transpose", b, this.rank);
    const axes = this.shape.map((_, axis) => axis);
    return this.permute(axes.with(i, j).with(j, i));
  }

  /** Swap the last two axes. */
  t(): Tensor {
    return this.transpose(-2, -1);
  }

  /** Elements `start` to `end` (not included; all the rest by default) of an axis, every `step`-th one. */
  slice(axis: number, start: number, end?: number, step = 1): Tensor {
    const at = resolveAxis("slice", axis, this.rank);
    return view(ops.slice, this, { axis: at, start, end: end ?? this.shape[at], step });
  }

  /**
   * Element `index` of an axis, which is dropped. Negative indices count from the back. Throws IndexError when there is
   * no such element.
   */
  select(axis: number, index: number): Tensor {
    const at = resolveAxis("select", axis, this.rank), size = this.shape[at];
    if (!Number.isInteger(index) || index < -size || index >= size) {
      throw new IndexError(
        `select: no element ${index} along axis ${at} of ${formatShape(this.shape)} (${size}). ` +
          (size > 0 ? `Use -${size} to ${size - 1}.` : "It has none."),
      );
    }
    const start = index < 0 ? index + size : index;
    using element = this.slice(at, start, start + 1);
    return element.squeeze(at);
  }

  /** Repeat axes of size 1, and missing leading ones, up to `shape`. */
  expand(shape: Shape): Tensor {
    return view(ops.expand, this, { shape });
  }

  /** Insert an axis of size 1 before `axis`. */
  unsqueeze(axis: number): Tensor {
    return this.reshape(this.shape.toSpliced(resolveAxis("unsqueeze", axis, this.rank + 1), 0, 1));
  }

  /** Drop an axis of size 1. */
  squeeze(axis: number): Tensor {
    const at = resolveAxis("squeeze", axis, this.rank);
    if (this.shape[at] !== 1) {
      throw new ShapeError(
        `squeeze: axis ${at} of ${formatShape(this.shape)} does not have size 1 (${
          this.shape[at]
        }). Use select().`,
      );
    }
    return this.reshape(this.shape.toSpliced(at, 1));
  }

  // --- Copies ---

  /** Itself if its elements lie in row-major order, else a copy in which they do. */
  contiguous(): Tensor {
    return isContiguous(this) ? this : this.clone();
  }

  /** A copy. */
  clone(): Tensor {
    return call(ops.copy, [this], {})[0];
  }

  /**
   * Itself if it is of that type, else a copy cast to it; or if it is on that device, else a copy there. Casts to an
   * integer type truncate toward zero. Throws what `device` does for one that cannot be used.
   */
  to(target: DType | DeviceName): Tensor {
    if (target === "cpu" || target === "cuda") return move(this, target);
    return target === this.dtype ? this : call(ops.copy, [this], { dtype: target })[0];
  }

  // --- Pointwise ---

  /** −x. */
  neg(): Tensor {
    return call(ops.neg, [this], {})[0];
  }

  /** |x|. */
  abs(): Tensor {
    return call(ops.abs, [this], {})[0];
  }

  /** eˣ. */
  exp(): Tensor {
    return call(ops.exp, [this], {})[0];
  }

  /** ln x. */
  log(): Tensor {
    return call(ops.log, [this], {})[0];
  }

  /** √x. */
  sqrt(): Tensor {
    return call(ops.sqrt, [this], {})[0];
  }

  /** 1 / √x. */
  rsqrt(): Tensor {
    return call(ops.rsqrt, [this], {})[0];
  }

  /** 1 / x. */
  reciprocal(): Tensor {
    return call(ops.reciprocal, [this], {})[0];
  }

  /** sin x. */
  sin(): Tensor {
    return call(ops.sin, [this], {})[0];
  }

  /** cos x. */
  cos(): Tensor {
    return call(ops.cos, [this], {})[0];
  }

  /** tanh x. */
  tanh(): Tensor {
    return call(ops.tanh, [this], {})[0];
  }

  /** 1 / (1 + e⁻ˣ). */
  sigmoid(): Tensor {
    return call(ops.sigmoid, [this], {})[0];
  }

  /** x · sigmoid(x). */
  silu(): Tensor {
    return call(ops.silu, [this], {})[0];
  }

  /** x·Φ(x), by its tanh approximation. */
  gelu(): Tensor {
    return call(ops.gelu, [this], {})[0];
  }

  /** max(x, 0). */
  relu(): Tensor {
    return call(ops.relu, [this], {})[0];
  }

  /** max(x, 0)². */
  relu2(): Tensor {
    return call(ops.relu2, [this], {})[0];
  }

  /** x + y, broadcast. */
  add(other: Tensor | number): Tensor {
    return pointwise(ops.add, this, other);
  }

  /** x − y, broadcast. */
  sub(other: Tensor | number): Tensor {
    return pointwise(ops.sub, this, other);
  }

  /** x · y, broadcast. */
  mul(other: Tensor | number): Tensor {
    return pointwise(ops.mul, this, other);
  }

  /** x / y, broadcast. */
  div(other: Tensor | number): Tensor {
    return pointwise(ops.div, this, other);
  }

  /** The larger of x and y, broadcast; NaN if either is. */
  maximum(other: Tensor | number): Tensor {
    return pointwise(ops.maximum, this, other);
  }

  /** The smaller of x and y, broadcast; NaN if either is. */
  minimum(other: Tensor | number): Tensor {
    return pointwise(ops.minimum, this, other);
  }

  /** x to the power of y, broadcast. */
  pow(other: Tensor | number): Tensor {
    return pointwise(ops.pow, this, other);
  }

  /** Ones (u8) where x = y, else zeros. */
  equal(other: Tensor | number): Tensor {
    return pointwise(ops.equal, this, other);
  }

  /** Ones (u8) where x ≠ y, else zeros. */
  notEqual(other: Tensor | number): Tensor {
    return pointwise(ops.notEqual, this, other);
  }

  /** Ones (u8) where x < y, else zeros. */
  less(other: Tensor | number): Tensor {
    return pointwise(ops.less, this, other);
  }

  /** Ones (u8) where x ≤ y, else zeros. */
  lessEqual(other: Tensor | number): Tensor {
    return pointwise(ops.lessEqual, this, other);
  }

  /** Ones (u8) where x > y, else zeros. */
  greater(other: Tensor | number): Tensor {
    return pointwise(ops.greater, this, other);
  }

  /** Ones (u8) where x ≥ y, else zeros. */
  greaterEqual(other: Tensor | number): Tensor {
    return pointwise(ops.greaterEqual, this, other);
  }

  // --- Products ---

  /** Matrix product over the last two axes; the axes before them broadcast. [..., m, k] @ [..., k, n] → [..., m, n]. */
  matmul(other: Tensor): Tensor {
    if (this.rank === 2 && other.rank === 2) return call(ops.matmul, [this, other], {})[0];
    return scope(() => batchedMatmul(this, other));
  }

  /** x·Wᵀ for a weight [out, in]: [..., in] → [..., out]. */
  linear(weight: Tensor): Tensor {
    return call(ops.linear, [this, weight], undefined)[0];
  }

  // --- Parts of a transformer ---

  /**
   * Each row along the last axis divided by its root mean square, times a weight: x · weight / √(mean x² + eps), of
   * Zhang & Sennrich, 2019. [..., dim], [dim] → [..., dim]. Statistics are f32.
   * Throws ShapeError or DTypeError when the weight does not fit.
   */
  rmsNorm(weight: Tensor, eps = 1e-5): Tensor {
    return keepFirst(1, call(ops.rmsNorm, [this, weight], { eps }))[0];
  }

  /**
   * The sum with `residual`, and its `rmsNorm`, in one pass: the same bits as one after the other.
   * [..., dim], [..., dim], [dim] → two of [..., dim]. Throws ShapeError or DTypeError when they do not fit.
   */
  addRmsNorm(residual: Tensor, weight: Tensor, eps = 1e-5): [sum: Tensor, normed: Tensor] {
    const [sum, normed] = keepFirst(2, call(ops.addRmsNorm, [this, residual, weight], { eps }));
    return [sum, normed];
  }

  /**
   * Each row along the last axis with mean 0 and variance 1, times a weight, plus a bias: (x − mean) · weight /
   * √(variance + eps) + bias, of Ba, Kiros & Hinton, 2016. [..., dim], [dim], [dim] → [..., dim]. Statistics are f32.
   * Throws ShapeError or DTypeError when weight or bias do not fit.
   */
  layerNorm(
    weight: Tensor,
    bias: Tensor,
    eps = 1e-5,
    { onePlus = false }: LayerNormOptions = {},
  ): Tensor {
    return keepFirst(1, call(ops.layerNorm, [this, weight, bias], { eps, onePlus }))[0];
  }

  /**
   * softmax(scale · q·kᵀ + mask)·v for each head, this tensor being q. Heads of k and v are shared by as many consecutive
   * heads of q. [batch, time, heads, headDim], two of [batch, keys, kvHeads, headDim] → [batch, time, heads, headDim];
   * all without the batch axis for packed tokens. Slices of a fused projection are read where they lie.
   * Throws ShapeError or DTypeError when they do not fit, IndexError for sequences outside of the tokens.
   */
  attention(k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
    const { causal = false, window = 0, sequences } = options;
    const { scale = 1 / Math.sqrt(this.shape.at(-1) ?? 1) } = options;
    if (!sequences) return attendBatch(this, k, v, { causal, window, scale });
    const { queryOffsets, keyStarts, keyLengths, blockTokens = 0 } = sequences;
    const inputs = [this, k, v, queryOffsets, keyStarts, keyLengths] as const;
    const op = blockTokens > 0 ? ops.pagedAttention : ops.attention;
    return keepFirst(1, call(op, inputs, { causal, window, scale, blockTokens }))[0];
  }

  /**
   * Rotary positions of Su et al., 2021: turn the pairs of each head by the angles that `table`, made by `ropeTable()`,
   * holds for the token's position. Elements that the table has no pair for pass through.
   * [batch, time, heads, headDim] or [time, heads, headDim] → the same shape.
   * Throws ShapeError when the table does not fit, IndexError for a position outside of it.
   */
  rope(table: Tensor, { style = "half", positions = 0 }: RopeOptions = {}): Tensor {
    const [inputs, offset]: [RopeInputs, number] = typeof positions === "number"
      ? [[this, table], positions]
      : [[this, table, positions], 0];
    return call(ops.rope, inputs, { style, offset, inverse: false })[0];
  }

  /**
   * Zeros with probability `p`, x / (1 − p) elsewhere: Srivastava et al., 2014. Which elements, `key` decides alone, so
   * derive one for each layer and step. Throws RangeError unless 0 ≤ p < 1.
   */
  dropout(p: number, key: RandomKey, { offset = 0 }: RandomOptions = {}): Tensor {
    return call(ops.dropout, [this], { p, key, offset })[0];
  }

  /** silu(x) · up: the gated unit of Shazeer, 2020. Throws ShapeError or DTypeError when `up` differs in shape or type. */
  swiglu(up: Tensor): Tensor {
    return call(ops.swiglu, [this, up], undefined)[0];
  }

  /** silu(gate) · up of the two halves of the last axis: [..., 2·width] → [..., width]. It has no gradient. */
  swigluHalves(): Tensor {
    return call(ops.swigluHalves, [this], undefined)[0];
  }

  /** With this as a u8 mask: x where it is not zero, y where it is. All broadcast; one of x and y may be a number. */
  where(x: Tensor, y: Tensor | number): Tensor;
  /** As above, with a number for `x`. */
  where(x: Tensor | number, y: Tensor): Tensor;
  where(x: Tensor | number, y: Tensor | number): Tensor {
    const a = typeof x === "number" ? (y as Tensor).newZeros([]).fill(x) : x;
    const b = typeof y === "number" ? a.newZeros([]).fill(y) : y;
    const result = call(ops.where, [this, a, b], undefined)[0];
    if (a !== x) a[Symbol.dispose]();
    if (b !== y) b[Symbol.dispose]();
    return result;
  }

  /** Tensors of one type, any number of them, one after another along an axis. Only the size of that axis may differ. */
  static concat(tensors: readonly Tensor[], axis = 0): Tensor {
    if (tensors.length === 0) {
      throw new ShapeError("concat: nothing to join (0 tensors). Pass at least one.");
    }
    return call(ops.concat, tensors, { axis: resolveAxis("concat", axis, tensors[0].rank) })[0];
  }

  /** Tensors of one shape along a new axis. */
  static stack(tensors: readonly Tensor[], axis = 0): Tensor {
    return Tensor.concat(tensors.map((x) => x.unsqueeze(axis)), axis);
  }

  /** Cut an axis into pieces of these sizes: views, no copies. Throws ShapeError unless they add up to its size. */
  split(sizes: readonly number[], axis = 0): Tensor[] {
    const at = resolveAxis("split", axis, this.rank);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    if (total !== this.shape[at]) {
      throw new ShapeError(
        `split: sizes [${sizes.join(", ")}] do not add up to axis ${at} of ${
          formatShape(this.shape)
        } (${total} vs ${this.shape[at]}). Name every piece.`,
      );
    }
    let start = 0;
    return sizes.map((size) => this.slice(at, start, start += size));
  }

  /** Cut an axis into at most `count` pieces of equal size, the last of which may be smaller: views, no copies. */
  chunk(count: number, axis = 0): Tensor[] {
    if (!Number.isInteger(count) || count < 1) {
      throw new ShapeError(
        `chunk: ${count} is no number of pieces. Use a whole number of at least 1.`,
      );
    }
    const n = this.shape[resolveAxis("chunk", axis, this.rank)], size = Math.ceil(n / count) || 1;
    const pieces = Math.max(1, Math.ceil(n / size));
    return this.split(Array.from({ length: pieces }, (_, i) => Math.min(size, n - i * size)), axis);
  }

  // --- Order ---

  /**
   * The elements along an axis in order, and their indices (i32). Stable: equal elements stay in order. NaN counts as
   * larger than any number.
   */
  sort(
    axis = -1,
    { descending = false }: { readonly descending?: boolean } = {},
  ): [Tensor, Tensor] {
    const at = resolveAxis("sort", axis, this.rank);
    return call(ops.sort, [this], { axis: at, descending }) as [Tensor, Tensor];
  }

  /**
   * The k largest elements along an axis, in descending order, and their indices (i32), lower ones first among equals.
   * NaN counts as larger than any number. Throws ShapeError when the axis has fewer.
   */
  topK(k: number, axis = -1): [Tensor, Tensor] {
    const at = resolveAxis("topK", axis, this.rank);
    return call(ops.topK, [this], { axis: at, k }) as [Tensor, Tensor];
  }

  // --- Indices ---

  /**
   * Pick elements along an axis by i32 indices, whose other axes are those of x: `out[i, j] = x[indices[i, j], j]` for
   * axis 0. Throws IndexError for an index outside the axis.
   */
  gather(axis: number, indices: Tensor): Tensor {
    return call(ops.gather, [this, indices], { axis: resolveAxis("gather", axis, this.rank) })[0];
  }

  /**
   * A copy with the elements of `source` added at i32 indices along an axis, in order of position:
   * `out[indices[i, j], j] += source[i, j]` for axis 0. Throws IndexError for an index outside the axis.
   */
  scatterAdd(axis: number, indices: Tensor, source: Tensor): Tensor {
    const at = resolveAxis("scatterAdd", axis, this.rank);
    const params = { axis: at, size: this.shape[at] };
    return scope(() => this.add(call(ops.scatterSum, [indices, source], params)[0].to(this.dtype)));
  }

  /**
   * Rows of a table by number: these i32 ids [...] and `table` [vocab, dim] give [..., dim].
   * Throws IndexError for an id outside the table.
   */
  embedding(table: Tensor): Tensor {
    return call(ops.embedding, [this, table], undefined)[0];
  }

  // --- Reductions ---

  /** The sum along axes, all of them by default. Reduced axes are dropped, or kept with size 1. */
  sum(axes?: Axes, keep = false): Tensor {
    return reduce("sum", this, axes, keep, (x, axis) => call(ops.sum, [x], { axis, scale: 1 })[0]);
  }

  /** The mean along axes, all of them by default. Reduced axes are dropped, or kept with size 1. */
  mean(axes?: Axes, keep = false): Tensor {
    return reduce(
      "mean",
      this,
      axes,
      keep,
      (x, axis) => call(ops.sum, [x], { axis, scale: 1 / x.shape[axis] })[0],
    );
  }

  /**
   * The largest element along axes, all of them by default; NaN if there is one. Reduced axes are dropped, or kept with
   * size 1. Equal elements share the gradient evenly. Throws ShapeError for an empty axis.
   */
  max(axes?: Axes, keep = false): Tensor {
    return reduce("max", this, axes, keep, (x, axis) => call(ops.max, [x], { axis })[0]);
  }

  /**
   * The smallest element along axes, all of them by default; NaN if there is one. Reduced axes are dropped, or kept with
   * size 1. Equal elements share the gradient evenly. Throws ShapeError for an empty axis.
   */
  min(axes?: Axes, keep = false): Tensor {
    return reduce("min", this, axes, keep, (x, axis) => call(ops.min, [x], { axis })[0]);
  }

  /**
   * The index (i32) of the largest element along an axis, of all elements in row-major order by default: the first of
   * equals, or the first NaN. The axis is dropped, or kept with size 1. Throws ShapeError when it is empty.
   */
  argmax(axis?: number, keep = false): Tensor {
    return scope(() => {
      if (axis === undefined) {
        const index = this.reshape([-1]).argmax(0);
        return keep ? index.reshape(this.shape.map(() => 1)) : index;
      }
      const at = resolveAxis("argmax", axis, this.rank);
      const index = call(ops.argmax, [this], { axis: at })[0];
      return keep ? index.unsqueeze(at) : index;
    });
  }

  /** ln Σ eˣ along axes, all of them by default. Reduced axes are dropped, or kept with size 1. */
  logSumExp(axes?: Axes, keep = false): Tensor {
    return reduce(
      "logSumExp",
      this,
      axes,
      keep,
      (x, axis) => call(ops.logSumExp, [x], { axis })[0],
    );
  }

  /** eˣ / Σ eˣ along an axis. */
  softmax(axis: number): Tensor {
    return call(ops.softmax, [this], { axis: resolveAxis("softmax", axis, this.rank) })[0];
  }

  /** x − ln Σ eˣ along an axis: the logarithm of `softmax`. */
  logSoftmax(axis: number): Tensor {
    return call(ops.logSoftmax, [this], { axis: resolveAxis("logSoftmax", axis, this.rank) })[0];
  }

  /** Running sums along an axis, up to and including each element. */
  cumsum(axis: number): Tensor {
    return call(ops.cumsum, [this], { axis: resolveAxis("cumsum", axis, this.rank) })[0];
  }

  /** Whether no element is an infinity or NaN. Waits for the device. */
  allFinite(): boolean {
    using values = this.detach();
    using finite = call(ops.allFinite, [values], undefined)[0];
    return finite.item() === 1;
  }

  /**
   * Sum over the places that a tensor of `shape` was broadcast to: the gradient of `expand`. Throws ShapeError when
   * `shape` does not broadcast to this one.
   */
  sumTo(shape: Shape): Tensor {
    if (!sameShape(broadcastShapes("sumTo", shape, this.shape), this.shape)) {
      throw new ShapeError(
        `sumTo: ${formatShape(shape)} does not broadcast to ${formatShape(this.shape)}. ` +
          `Pass a shape with fewer axes, or sizes of 1.`,
      );
    }
    const missing = this.rank - shape.length;
    const axes = this.shape.map((_, axis) => axis)
      .filter((axis) => axis < missing || (shape[axis - missing] === 1 && this.shape[axis] !== 1));
    return scope(() => this.sum(axes).reshape(shape));
  }
}

/**
 * Run `op`, ours or your own, and return its outputs. Methods of Tensor are one call of this each.
 *
 * Throws DisposedError, DeviceError, and what the op itself throws for inputs that do not fit.
 */
export function call<P, I extends readonly Tensor[]>(op: Op<P, I>, inputs: I, params: P): Tensor[] {
  checkInputs(op.name, inputs);
  const specs = op.outputs(inputs as never, params);
  const { backend } = inputs[0].storage;
  const outputs: Tensor[] = [];
  try {
    for (let i = 0; i < specs.length; i++) {
      outputs.push(make(backend, specs[i].shape, specs[i].dtype));
    }
    backend.run(op, inputs, outputs, params);
    if (isRecording() && anyRequiresGrad(inputs)) record(op, inputs, outputs, params, caller);
  } catch (error) {
    for (const output of outputs) output[Symbol.dispose]();
    throw error;
  }
  return outputs;
}

/** A tensor with undefined contents. Nobody else may hold `shape`. */
function make(backend: Backend, shape: Shape, dtype: DType): Tensor {
  return new Tensor(allocate(backend, shape, dtype), shape, contiguousStrides(shape), 0, dtype);
}

function anyRequiresGrad(tensors: readonly Tensor[]): boolean {
  for (let i = 0; i < tensors.length; i++) if (tensors[i].requiresGrad) return true;
  return false;
}

/** Run `op` on outputs that exist. Nothing is recorded. Throws as `call` does, and when an output does not fit. */
export function callInto<P, I extends readonly Tensor[]>(
  op: Op<P, I>,
  inputs: I,
  outputs: readonly Tensor[],
  params: P,
): void {
  checkInputs(op.name, inputs);
  checkOutputs(op.name, outputs, op.outputs(inputs as never, params));
  checkWritable(op, outputs);
  outputs[0].storage.backend.run(op, inputs, outputs, params);
}

/** A copy on another device, through the host's memory. */
function move(x: Tensor, target: DeviceName): Tensor {
  checkInputs("to", [x]);
  if (x.device === target) return x;
  const bytes = new Uint8Array(x.size * bytesOf(x.dtype));
  x.readBytes(bytes);
  const result = Tensor.fromBytes(bytes, x.shape, { dtype: x.dtype, device: target });
  const { device: source } = x;
  if (isRecording() && x.requiresGrad) attach("to", [x], [result], [], ([g]) => [g!.to(source)]);
  return result;
}

const caller: Caller = { apply: call, applyInto: callInto };

/** The first outputs of a call. The rest is let go of: the tape has its own hold on what the gradient needs. */
function keepFirst(count: number, outputs: readonly Tensor[]): readonly Tensor[] {
  for (const output of outputs.slice(count)) output[Symbol.dispose]();
  return outputs.slice(0, count);
}

/** Attention where each batch element is one sequence. */
function attendBatch(q: Tensor, k: Tensor, v: Tensor, params: AttentionParams): Tensor {
  const batch = q.rank === 4 ? q.shape[0] : 1, keys = k.shape.at(-3) ?? 0;
  const integers = { dtype: "i32", device: q.device } as const;
  const steps = (count: number, step: number): Tensor =>
    Tensor.from(Int32Array.from({ length: count }, (_, i) => i * step), [count], integers);
  using queryOffsets = steps(batch + 1, q.shape.at(-3) ?? 0);
  using keyStarts = steps(batch, keys);
  using keyLengths = Tensor.full([batch], keys, integers);
  const inputs = [q, k, v, queryOffsets, keyStarts, keyLengths] as const;
  return keepFirst(1, call(ops.attention, inputs, { ...params, whole: true }))[0];
}

/** Call an op of two tensors, or of a tensor and a number. */
function pointwise(op: Pointwise, x: Tensor, y: Tensor | number): Tensor {
  return typeof y === "number" ? call(op, [x], { number: y })[0] : call(op, [x, y], {})[0];
}

/** A product whose operands are not both matrices: rows of all batches at once where `b` is one matrix, else batch by batch. */
function batchedMatmul(a: Tensor, b: Tensor): Tensor {
  if (a.rank < 2 || b.rank < 2) {
    throw new ShapeError(
      `matmul: matrices are needed, ${formatShape(a.shape)} @ ${
        formatShape(b.shape)
      }. Add axes with unsqueeze().`,
    );
  }
  const [m, k] = a.shape.slice(-2), [inner, n] = b.shape.slice(-2);
  if (b.rank === 2 && k === inner) {
    const rows = a.reshape([sizeOf(a.shape.slice(0, -1)), k]);
    return call(ops.matmul, [rows, b], {})[0].reshape([...a.shape.slice(0, -1), n]);
  }
  const batch = broadcastShapes("matmul", a.shape.slice(0, -2), b.shape.slice(0, -2)),
    count = sizeOf(batch);
  const batched = (x: Tensor, rows: number, columns: number): Tensor =>
    x.expand([...batch, rows, columns]).reshape([count, rows, columns]);
  return call(ops.matmul, [batched(a, m, k), batched(b, inner, n)], {})[0].reshape([
    ...batch,
    m,
    n,
  ]);
}

/** Look at the memory of `x` through `op`. Throws DisposedError, and ShapeError when its layout does not allow it. */
export function view<P>(op: ViewOp<P>, x: Tensor, params: P): Tensor {
  checkInputs(op.name, [x]);
  const { shape, strides, offset } = op.layout(x, params);
  const result = new Tensor(x.storage.retain(), shape, strides, offset, x.dtype);
  if (isRecording() && x.requiresGrad) {
    const spec = { shape: x.shape, dtype: x.dtype };
    attach(op.name, [x], [result], [], ([g]) => [op.vjp(g!, spec, params, caller)]);
  }
  return result;
}
