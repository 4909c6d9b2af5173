/**
 * Ops that work element by element, by family. An op is one statement: what it computes, in TypeScript and in C, and its
 * derivative.
 *
 * @module
 */
import type { Arguments } from "../../ffi/mod.ts";
import { type DType, isFloating } from "../dtype.ts";
import { DTypeError } from "../errors.ts";
import {
  broadcastShapes,
  broadcastStrides,
  collapse,
  isContiguous,
  sameShape,
  sizeOf,
} from "../layout.ts";
import type { Kernel, NumberTensor, Op, Sample, Unary, View } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { overElements } from "./launch.ts";

/** The number that stands in for a missing second input. */
export interface NumberParams {
  readonly number?: number;
}

/** Two tensors, or one and a number. */
export type OneOrTwo = readonly [Tensor] | readonly [Tensor, Tensor];

/** An op of two tensors, or of a tensor and a number. */
export type Pointwise = Op<NumberParams, OneOrTwo>;

/** A derivative: dL/dx from x and g = dL/df, in TypeScript of (x, g) and in C of `x` and `y` (for g). */
export interface Derivative {
  /** What `x` is: the op's input, or its output, or nothing that must be kept. */
  readonly from: "input" | "output" | "none";
  readonly js: (x: number, g: number) => number;
  readonly c: string;
}

/** f(x), in TypeScript and in C of `x`. */
export interface MapDefinition {
  readonly js: (x: number) => number;
  readonly c: string;
  /** Left out where it is zero everywhere or undefined. */
  readonly derivative?: Derivative;
  /** Inputs to test with, from a uniform number in [0, 1). */
  readonly draw?: (uniform: number) => number;
}

/** f(x, y), in TypeScript and in C of `x` and `y`. */
export interface ZipDefinition {
  readonly js: (x: number, y: number) => number;
  readonly c: string;
  /** Gradients of both inputs; the second is asked for only when it is a tensor. */
  readonly vjp?: (
    g: Tensor,
    x: Tensor,
    y: Tensor | number,
    needs: readonly boolean[],
  ) => [Tensor | null, Tensor | null];
  /** The inputs that `vjp` looks at; the others are not kept. */
  readonly saves?: readonly number[];
  /** It is a product: each gradient looks at the other input only. */
  readonly bilinear?: boolean;
  /** Computes on floating types only. */
  readonly floating?: boolean;
  readonly draw?: (input: number, uniform: number) => number;
}

/** `expMinusOne` as C names it: `exp_minus_one`. */
function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function pointwiseKernel(macro: string, name: string, c: string): Kernel<NumberParams> {
  const entry = `${macro.toLowerCase()}_${snakeCase(name)}`;
  return {
    source: new URL("./pointwise.c", import.meta.url),
    entry,
    instance: `${macro}_KERNEL(${entry}, ${c})`,
    strided: true,
    dtype: ([x]) => x.dtype,
    arguments: (to, inputs, [out], { number = 0 }) => {
      to.address(addressOf(out)).address(addressOf(inputs[0]));
      to.address(inputs.length > 1 ? addressOf(inputs[1]!) : 0);
      if (inputs[0].dtype === "i32") to.integer(number);
      else to.float(number);
      appendLayout(to, inputs, out);
    },
    cuda: {
      source: new URL("./pointwise.cu", import.meta.url),
      launches: (_, [out]) => [overElements(sizeOf(out.shape))],
    },
  };
}

/** Append the rank, the shape, and two inputs' strides after neighbouring axes are merged. */
function appendLayout(to: Arguments, inputs: readonly View[], { shape }: View): void {
  if (inputs.every((x) => sameShape(x.shape, shape) && isContiguous(x))) {
    to.integer(1).integer(sizeOf(shape)).integer(1).integer(1);
    return;
  }
  const merged = collapse(shape, inputs.map((x) => broadcastStrides(x, shape)));
  to.integer(merged.shape.length);
  for (const values of [merged.shape, merged.strides[0], merged.strides.at(-1)!]) {
    for (const value of values) to.integer(value);
  }
}

/** Read `input` at the place that element `i` of `shape` is broadcast from. */
function broadcastIndex(
  { shape: from }: NumberTensor,
  shape: readonly number[],
): (i: number) => number {
  if (sameShape(from, shape)) return (i) => i;
  const strides = broadcastStrides({ shape: from, strides: rowMajor(from), offset: 0 }, shape);
  return (i) => {
    let index = 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index += (i % shape[axis]) * strides[axis];
      i = Math.floor(i / shape[axis]);
    }
    return index;
  };
}

function rowMajor(shape: readonly number[]): number[] {
  return shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
}

function checkFloating(name: string, dtype: DType): void {
  if (isFloating(dtype)) return;
  throw new DTypeError(
    `${name}: ${dtype} elements have no such function. Cast first: x.to("f32").`,
  );
}

/** The samples of ops of two inputs: equal shapes, repeated axes on either side, one element, none, and a number. */
function zipSamples(
  draw?: (input: number, uniform: number) => number,
): Sample<NumberParams, OneOrTwo>[] {
  const shapes = [
    [[5], [5]],
    [[2, 3], [2, 3]],
    [[33, 7], [7]],
    [[3, 1, 4], [2, 1]],
    [[], []],
    [[0, 3], [0, 3]],
    [[7]],
  ] as const;
  return shapes.map((pair) => ({
    shapes: pair as unknown as Sample<NumberParams, OneOrTwo>["shapes"],
    params: pair.length === 1 ? { number: 1.5 } : {},
    ...(draw ? { draw } : {}),
  }));
}

/** An op of one input, and the op of its derivative. */
export function map(name: string, { js, c, derivative, draw }: MapDefinition): Unary<NumberParams> {
  const back = derivative && zip(`${name}Backward`, {
    js: derivative.js,
    c: derivative.c,
    floating: true,
    draw: (input, uniform) => input === 0 && draw ? draw(uniform) : uniform * 4 - 2,
  });
  const from = derivative?.from;
  return {
    name,
    outputs: ([{ shape, dtype }]) => {
      checkFloating(name, dtype);
      return [{ shape, dtype }];
    },
    reference: ([x], [out]) => {
      for (let i = 0; i < out.data.length; i++) out.data[i] = js(x.data[i]);
    },
    kernel: pointwiseKernel("MAP", name, c),
    ...(back
      ? {
        companions: [back],
        saves: from === "output" ? { outputs: [0] } : from === "input" ? { inputs: [0] } : {},
        vjp: ([g], { inputs: [x = g], outputs: [y = x], apply }) =>
          apply(back, [y, g], {}) as [Tensor],
      }
      : {}),
    samples: [[5], [2, 3], [1], [0], [], [33, 65]].map((shape) => ({
      shapes: [shape],
      params: {},
      ...(draw ? { draw: (_: number, uniform: number) => draw(uniform) } : {}),
    })),
  };
}

/** An op of two inputs that broadcast, or of one and a number. */
export function zip(name: string, definition: ZipDefinition): Pointwise {
  const { js, c, vjp, saves = [], bilinear = false, floating, draw } = definition;
  return {
    name,
    outputs: (inputs, { number }) => {
      const [a, b = a] = inputs;
      if (floating) checkFloating(name, a.dtype);
      checkSameType(name, a.dtype, b.dtype);
      if (number !== undefined) checkNumber(name, a.dtype, number);
      return [{ shape: broadcastShapes(name, a.shape, b.shape), dtype: a.dtype }];
    },
    reference: (inputs, [out], params) => zipReference(js, inputs, out, params),
    kernel: pointwiseKernel(floating ? "ZIP_FLOAT" : "ZIP", name, c),
    ...(vjp
      ? {
        saves: { inputs: saves, bilinear },
        vjp: ([g], { inputs, params, needs }) => {
          const gradients = vjp(g, inputs[0], inputs[1] ?? params.number!, needs);
          return (needs.length === 1 ? [gradients[0]] : gradients) as never;
        },
      }
      : {}),
    samples: zipSamples(draw),
  };
}

/** A comparison of two inputs that broadcast, or of one and a number; its output is a u8 of ones and zeros. */
export function compare(name: string, js: (x: number, y: number) => boolean, c: string): Pointwise {
  return {
    name,
    outputs: (inputs, { number }) => {
      const [a, b = a] = inputs;
      checkSameType(name, a.dtype, b.dtype);
      if (number !== undefined) checkNumber(name, a.dtype, number);
      return [{ shape: broadcastShapes(name, a.shape, b.shape), dtype: "u8" }];
    },
    reference: (inputs, [out], params) =>
      zipReference((x, y) => js(x, y) ? 1 : 0, inputs, out, params),
    kernel: pointwiseKernel("COMPARE", name, c),
    samples: zipSamples((_, uniform) => Math.round(uniform * 4) / 2),
  };
}

function zipReference(
  f: (x: number, y: number) => number,
  inputs: readonly NumberTensor[],
  out: NumberTensor,
  { number }: NumberParams,
): void {
  const [a, b] = inputs, size = sizeOf(out.shape);
  const indexA = broadcastIndex(a, out.shape), indexB = b && broadcastIndex(b, out.shape);
  for (let i = 0; i < size; i++) {
    out.data[i] = f(a.data[indexA(i)], b ? b.data[indexB(i)] : number!);
  }
}

function checkSameType(name: string, a: DType, b: DType): void {
  if (a === b) return;
  throw new DTypeError(`${name}: ${a} and ${b} do not mix. Cast one: b.to("${a}").`);
}

function checkNumber(name: string, dtype: DType, number: number): void {
  if (isFloating(dtype) || (number | 0) === number) return;
  throw new DTypeError(`${name}: ${number} is no ${dtype} number. Cast the tensor: x.to("f32").`);
}
