/**
 * What a tensor is before it can compute: a layout over shared memory, a lifetime, and a place on the tape.
 *
 * @module
 */
import { type Node, release } from "./autograd.ts";
import { bytesOf, decode, type DType, isFloating, type NumberArray } from "./dtype.ts";
import { DisposedError, DTypeError, GradError, ShapeError } from "./errors.ts";
import { format } from "./format.ts";
import { formatShape, type Shape, sizeOf } from "./layout.ts";
import type { View } from "./op.ts";
import { track, Tracked } from "./scope.ts";
import type { Storage } from "./storage.ts";

/** A view of memory with a lifetime. Dispose it, or make it inside a `scope()`. */
export abstract class Handle extends Tracked implements View, Disposable {
  #disposed = false;
  #owned: boolean;
  #node: Node | null = null;
  #outputIndex = 0;
  #leaf = false;

  /** Take over one reference to `storage`. */
  constructor(
    /** The memory; shared by views. */
    readonly storage: Storage,
    /** Sizes of the axes, outermost first. */
    readonly shape: Shape,
    /** Elements to step for one more along each axis. */
    readonly strides: readonly number[],
    /** Element of the storage at which it starts. */
    readonly offset: number,
    /** Element type. */
    readonly dtype: DType,
    owned = false,
  ) {
    super();
    this.#owned = owned;
    if (!owned) track(this);
  }

  /** Number of axes. */
  get rank(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** Name of the device that holds it. */
  get device(): "cpu" | "cuda" {
    return this.storage.backend.name;
  }

  /** Whether it was disposed; nothing can be computed from it then. */
  get disposed(): boolean {
    return this.#disposed;
  }

  /** Whether it is kept by an owner, so that scopes leave it alone. */
  get owned(): boolean {
    return this.#owned;
  }

  /** Whether gradients flow to it. */
  get requiresGrad(): boolean {
    return this.#leaf || this.#node !== null;
  }

  /** The recorded call that made it; null for leaves and for what was not recorded. */
  get node(): Node | null {
    return this.#node;
  }

  /** Which output of its node it is. */
  get outputIndex(): number {
    return this.#outputIndex;
  }

  /** Note the recorded call that made it. Called by the tape. */
  attach(node: Node, outputIndex: number): void {
    this.#node = node;
    this.#outputIndex = outputIndex;
    node.uses++;
  }

  /**
   * Make it a leaf whose gradient `backward()` computes; or, with `false`, no longer.
   * Throws DTypeError for integer types, GradError when it was computed from tensors that require gradients.
   */
  requireGrad(on = true): this {
    this.checkAlive("requireGrad");
    if (on && !isFloating(this.dtype)) {
      throw new DTypeError(
        `requireGrad: ${this.dtype} has no gradients, ${formatShape(this.shape)}. Use f32 or bf16.`,
      );
    }
    if (this.#node) {
      throw new GradError(
        `requireGrad: ${
          formatShape(this.shape)
        } was computed by ${this.#node.name}, only leaves can change. Use detach().`,
      );
    }
    this.#leaf = on;
    return this;
  }

  /** Take it out of every scope: it lives until it is disposed. */
  keep(): this {
    this.checkAlive("keep");
    this.#owned = true;
    return this;
  }

  /** Give its memory back, once no view and no recorded call needs it. Safe to call twice. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (this.#node) release(this.#node);
    this.storage.release();
  }

  /** Copies the elements out, decoded to numbers, in row-major order. Waits for the work that produces them. */
  data(): NumberArray {
    this.checkAlive("data");
    const bytes = new Uint8Array(this.size * bytesOf(this.dtype));
    this.readBytes(bytes);
    return decode(this.dtype, bytes.buffer, 0, this.size);
  }

  /** Its only element. Throws ShapeError when it has none or several. */
  item(): number {
    if (this.size !== 1) {
      throw new ShapeError(
        `item: ${formatShape(this.shape)} has not one element (${this.size}). Use data().`,
      );
    }
    return this.data()[0];
  }

  /** Copies the raw bytes of the elements, in row-major order, to `target`. */
  abstract readBytes(target: Uint8Array): void;

  /** Throw DisposedError, naming `op`, if it was disposed. */
  protected checkAlive(op: string): void {
    if (!this.#disposed) return;
    throw new DisposedError(
      `${op}: ${formatShape(this.shape)} was disposed. Return it from scope() or keep() it.`,
    );
  }

  /** Shape, type and elements; long axes are shortened. */
  override toString(): string {
    const head = `Tensor ${formatShape(this.shape)} ${this.dtype}${
      this.device === "cpu" ? "" : ` ${this.device}`
    }`;
    if (this.#disposed) return `${head} (disposed)`;
    return `${head}\n${format(this.data(), this.shape)}`;
  }

  /** A tensor in a template is its text. Throws TypeError where JavaScript wants a number, as in `x * 2` or `x + y`. */
  [Symbol.toPrimitive](hint: string): string {
    if (hint === "string") return this.toString();
    throw new TypeError(
      `${formatShape(this.shape)} ${this.dtype} is a tensor where a number is needed. ` +
        `Read it with item(), or compute with add(), mul(), ….`,
    );
  }

  static {
    // How `console.log` shows it.
    const inspect = Symbol.for("Deno.customInspect");
    Object.defineProperty(this.prototype, inspect, {
      value(this: Handle): string {
        return this.toString();
      },
    });
  }
}
