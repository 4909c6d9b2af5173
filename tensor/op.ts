/**
 * What the library knows about an op. An op is one constant in one file: its name, its shape rule, a reference in plain
 * TypeScript that defines it, the kernels that run it fast, its gradient, and the samples that test all of them.
 *
 * @module
 */
import type { Arguments } from "../ffi/args.ts";
import type { DType, NumberArray } from "./dtype.ts";
import type { Layout, Shape } from "./layout.ts";
import type { Storage } from "./storage.ts";
import type { Tensor } from "./tensor.ts";

/** What a kernel sees of a tensor: memory and how it is laid out; no gradients. */
export interface View extends Layout {
  /** The memory. */
  readonly storage: Storage;
  /** Element type. */
  readonly dtype: DType;
}

/** Shape and element type of a tensor that does not exist yet. */
export interface TensorSpec {
  /** Sizes of the axes. */
  readonly shape: Shape;
  /** Element type. */
  readonly dtype: DType;
}

/** What a reference implementation sees of a tensor: its elements in row-major order, decoded to numbers. */
export interface NumberTensor {
  /** Sizes of the axes. */
  readonly shape: Shape;
  /** Element type it was decoded from, or will be encoded to. */
  readonly dtype: DType;
  /** The elements. */
  readonly data: NumberArray;
}

/** One `T` for each input. */
export type PerInput<I extends readonly unknown[], T> = { readonly [K in keyof I]: T };

/** How an op runs as native code. */
export interface Kernel<P> {
  /** The C source, next to the op. */
  readonly source: URL;
  /** Lines appended to the source, for families of ops that share one. */
  readonly instance?: string;
  /** Name of the C function without the element type's suffix. */
  readonly entry: string;
  /** Element type to run as; by default that of the first floating input. */
  dtype?(inputs: readonly View[], outputs: readonly View[]): DType;
  /** It reads inputs of any layout, or of those for which this is true. Others are made contiguous before the call. */
  readonly strided?: boolean | ((x: View, input: number) => boolean);
  /** Fill the argument block. */
  arguments(to: Arguments, inputs: readonly View[], outputs: readonly View[], params: P): void;
  /** The error for a status other than 0 and 1 (out of memory). */
  error?(status: number, inputs: readonly View[], params: P): Error;
  /** How it runs on a GPU: a source of its own that reads the same argument block, or by other means. */
  readonly cuda?: CudaKernel<P> | CudaProduct<P> | CudaCalls<P>;
}

/** One launch of a CUDA kernel. */
export interface Launch {
  /** Name of the function without the element type's suffix, where it is not that of the C function. */
  readonly entry?: string;
  /** Blocks along x, or along x, y and z. Nothing is launched when there are none. */
  readonly blocks: number | readonly [number, number, number];
  /** Threads of a block. */
  readonly threads: number;
  /** Bytes of dynamic shared memory of a block. */
  readonly shared?: number;
}

/** y = x·Wᵀ between launches, x and y in the working space: e4m3 [rows, width] and f32 [rows, outs]. */
export interface ScratchProduct {
  /** e4m3 [outs, width], both multiples of 16. */
  readonly weights: View;
  /** How many rows x has. */
  readonly rows: number;
  /** Bytes from the beginning of the working space to x. */
  readonly x: number;
  /** Bytes to y. */
  readonly y: number;
}

/** An op as CUDA kernels. */
export interface CudaKernel<P> {
  /** The CUDA source, next to the op. */
  readonly source: URL;
  /** What to launch, in order, all with the same arguments. */
  launches(
    inputs: readonly View[],
    outputs: readonly View[],
    params: P,
  ): readonly (Launch | ScratchProduct)[];
  /** Bytes of working space that the launches share. */
  scratch?(inputs: readonly View[], outputs: readonly View[], params: P): number;
  /** What it computes, where that is attention of whole batches: the device may have a library for it. */
  attention?(inputs: readonly View[], outputs: readonly View[], params: P): BatchAttention | null;
}

/** Attention where each batch element is one sequence, or its gradients. */
export interface BatchAttention {
  /** [batch, queries, heads, headDim], or without the batch axis. */
  readonly q: View;
  /** [batch, keys, kvHeads, headDim], as v. */
  readonly k: View;
  /** As k. */
  readonly v: View;
  /** As q. */
  readonly out: View;
  /** The logarithm of each softmax's denominator, f32 [batch, queries, heads]. */
  readonly lse: View;
  /** For the gradients: that of out, and those of q, k and v, which are written. */
  readonly backward: Readonly<Record<"dout" | "dq" | "dk" | "dv", View>> | null;
  /** A query sees no key after its own position. */
  readonly causal: boolean;
  /** What products of queries and keys are multiplied by. */
  readonly scale: number;
}

/** An op that is a product of matrices. */
export interface CudaProduct<P> {
  /** Which product. */
  product(inputs: readonly View[], outputs: readonly View[], params: P): MatrixProduct;
}

/** c = a·b, or c += a·b, for a batch of matrices: [batch, m, k]·[batch, k, n] → [batch, m, n]. */
export interface MatrixProduct {
  /** [batch, m, k] with any strides. */
  readonly a: View;
  /** [batch, k, n] with any strides. */
  readonly b: View;
  /** [batch, m, n], contiguous. */
  readonly c: View;
  /** Whether to add to what c holds. */
  readonly accumulate: boolean;
}

/** An op that is other ops on parts of its inputs and outputs. */
export interface CudaCalls<P> {
  /** Which ones, in order. */
  calls(inputs: readonly View[], outputs: readonly View[], params: P): readonly Call[];
}

/** One op on views. */
export interface Call {
  /** The op. */
  readonly op: AnyOp;
  /** What it reads. */
  readonly inputs: readonly View[];
  /** What it writes. */
  readonly outputs: readonly View[];
  /** Its parameters. */
  readonly params: unknown;
}

/** What a gradient rule sees. */
export interface VjpContext<P, I extends readonly Tensor[]> {
  /** The saved inputs; those that `saves.inputs` does not name are not there. */
  readonly inputs: I;
  /** The saved outputs; likewise. */
  readonly outputs: readonly Tensor[];
  /** Shape and element type of each input, saved or not. */
  readonly specs: PerInput<I, TensorSpec>;
  /** The parameters of the call. */
  readonly params: P;
  /** Whether the gradient of each input is wanted. */
  readonly needs: PerInput<I, boolean>;
  /** The f32 gradient of input `i` if it exists already, to add to in place; return it from the rule to say so. */
  into(i: number): Tensor | null;
  /** Call another op. */
  apply<Q, J extends readonly Tensor[]>(op: Op<Q, J>, inputs: J, params: Q): Tensor[];
  /** Call another op, which writes (or adds to) tensors that exist. */
  applyInto<Q, J extends readonly Tensor[]>(
    op: Op<Q, J>,
    inputs: J,
    outputs: readonly Tensor[],
    params: Q,
  ): void;
}

/** Gradients of the inputs; null where there is none. */
export type Gradients<I extends readonly unknown[]> = PerInput<I, Tensor | null>;

/** Inputs and parameters to test an op with. */
export interface Sample<P, I extends readonly unknown[] = readonly unknown[]> {
  /** Shape of each input. */
  readonly shapes: PerInput<I, Shape>;
  /** The parameters of the call. */
  readonly params: P;
  /** Element type of each input where it is not the floating type under test. */
  readonly dtypes?: readonly (DType | null)[];
  /** Element `index` of an input, given a uniform number in [0, 1); by default it is spread over [-2, 2). */
  readonly draw?: (input: number, uniform: number, index: number) => number;
}

/** Everything the library knows about one op. */
export interface Op<P = unknown, I extends readonly Tensor[] = readonly Tensor[]> {
  /** As users call it, and as errors name it. */
  readonly name: string;
  /** Shape and element type of each output. Throws ShapeError or DTypeError when the inputs do not fit. */
  outputs(inputs: PerInput<I, View>, params: P): readonly TensorSpec[];
  /** The definition: plain loops over decoded elements. Outputs of in-place ops hold the previous contents. */
  reference(inputs: PerInput<I, NumberTensor>, outputs: readonly NumberTensor[], params: P): void;
  /** How it runs as C. */
  readonly kernel?: Kernel<P>;
  /**
   * Its gradient as a vector-Jacobian product: from the gradients of the outputs (null where one played no part in the
   * loss) to those of the inputs. Without it, calling the op on a tensor that requires a gradient is an error.
   */
  vjp?(gradients: readonly Tensor[], context: VjpContext<P, I>): Gradients<I>;
  /** What the gradient needs kept. */
  readonly saves?: {
    readonly inputs?: readonly number[];
    readonly outputs?: readonly number[];
    /** A product of two: the gradient of one needs only the other, which is kept only where that gradient is wanted. */
    readonly bilinear?: boolean;
  };
  /** Ops that only its gradient calls. */
  readonly companions?: readonly AnyOp[];
  /** Outputs that no gradient flows through, such as indices. */
  readonly constantOutputs?: readonly number[];
  /** Floating inputs that no gradient flows to, such as tables. */
  readonly constantInputs?: readonly number[];
  /** What to test it with: every parameter, odd sizes, one element, none. */
  readonly samples: readonly Sample<P, I>[];
}

/** An op whose parameters and number of inputs do not matter. */
export type AnyOp = Op<unknown, readonly Tensor[]>;
/** An op of one input. */
export type Unary<P = void> = Op<P, readonly [Tensor]>;
/** An op of two inputs. */
export type Binary<P = void> = Op<P, readonly [Tensor, Tensor]>;
/** An op of three inputs. */
export type Ternary<P = void> = Op<P, readonly [Tensor, Tensor, Tensor]>;

/** An op that only looks at the same memory differently. */
export interface ViewOp<P = unknown> {
  /** As users call it, and as errors name it. */
  readonly name: string;
  /** The new layout. Throws ShapeError when it cannot be. */
  layout(x: Layout, params: P): Layout;
  /** Its gradient, given that of the view and the shape of the input. */
  vjp(gradient: Tensor, input: TensorSpec, params: P, context: ViewContext): Tensor;
  /** What to test it with. */
  readonly samples: readonly { readonly shape: Shape; readonly params: P }[];
}

/** What the gradient of a view may call. */
export type ViewContext = Pick<VjpContext<unknown, readonly Tensor[]>, "apply" | "applyInto">;
