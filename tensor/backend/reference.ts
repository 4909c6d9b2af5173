/**
 * Runs the definitions of ops, which compute with plain numbers, on the memory of a device.
 *
 * @module
 */
import { bytesOf, decode, encode } from "../dtype.ts";
import { isContiguous, sizeOf } from "../layout.ts";
import type { AnyOp, NumberTensor, View } from "../op.ts";

/** Where a view's elements lie, as JavaScript sees them. */
export interface HostMemory {
  /** The buffer, and the byte of the view's first element. */
  open(view: View): { readonly buffer: ArrayBuffer; readonly start: number };
  /** Take note that the elements of a view were written there. */
  close(view: View): void;
}

/** Run the definition of an op: decode, loop, encode. */
export function runReference(
  op: AnyOp,
  inputs: readonly View[],
  outputs: readonly View[],
  params: unknown,
  memory: HostMemory,
): void {
  const results = outputs.map((view) => toNumbers(view, memory));
  op.reference(inputs.map((view) => toNumbers(view, memory)), results, params);
  results.forEach((result, i) => {
    fromNumbers(result, outputs[i], memory);
    memory.close(outputs[i]);
  });
}

/** Elements from the first one of a view to the one behind its last. */
export function reachOf({ shape, strides }: View): number {
  if (sizeOf(shape) === 0) return 0;
  return 1 + shape.reduce((last, n, axis) => last + (n - 1) * strides[axis], 0);
}

/** The elements of a view in row-major order. */
function toNumbers(view: View, memory: HostMemory): NumberTensor {
  const { shape, dtype } = view, size = sizeOf(shape);
  const { buffer, start } = memory.open(view);
  if (isContiguous(view)) return { shape, dtype, data: decode(dtype, buffer, start, size) };
  const whole = decode(dtype, buffer, start, reachOf(view));
  const data = new (whole.constructor as new (size: number) => typeof whole)(size);
  forEachElement(view, (at, i) => data[i] = whole[at]);
  return { shape, dtype, data };
}

/** Write numbers in row-major order to where a view's elements lie. */
function fromNumbers({ data, dtype }: NumberTensor, view: View, memory: HostMemory): void {
  const { buffer, start } = memory.open(view), width = bytesOf(dtype);
  if (isContiguous(view)) return encode(dtype, data, buffer, start);
  forEachElement(view, (at, i) => encode(dtype, [data[i]], buffer, start + at * width));
}

/** Call `visit` with the distance of each element from the first one and its number, in row-major order. */
function forEachElement({ shape, strides }: View, visit: (at: number, i: number) => void): void {
  const size = sizeOf(shape), coordinates = shape.map(() => 0);
  let at = 0;
  for (let i = 0; i < size; i++) {
    visit(at, i);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++coordinates[axis] < shape[axis]) break;
      at -= coordinates[axis] * strides[axis];
      coordinates[axis] = 0;
    }
  }
}
