/**
 * Compares another attention with our own kernels on a small case.
 *
 * @module
 */
import { bytesOf, decode, type DType, encode } from "../dtype.ts";
import { contiguousStrides, sizeOf } from "../layout.ts";
import type { BatchAttention, View } from "../op.ts";
import { attention, type AttentionParams } from "../ops/attention.ts";
import type { Backend } from "./backend.ts";

const batch = 2, time = 40, heads = 4, kvHeads = 2, headDim = 64;
/** Of the largest number: bf16 has 8 bits, and the order of sums differs. */
const tolerance = 0.03;

/** Why `compute` is wrong; empty when it agrees with the kernels of `backend`. */
export function checkAttention(backend: Backend, compute: (call: BatchAttention) => void): string {
  const views: View[] = [];
  const make = (shape: readonly number[], dtype: DType, values?: ArrayLike<number>): View => {
    const bytes = new Uint8Array(sizeOf(shape) * bytesOf(dtype));
    if (values) encode(dtype, values, bytes.buffer, 0);
    const storage = backend.allocate(bytes.length);
    const view = { storage, shape, dtype, offset: 0, strides: contiguousStrides(shape) };
    views.push(view);
    backend.write(storage, 0, bytes);
    return view;
  };
  const read = ({ storage, shape, dtype }: View): ArrayLike<number> => {
    const bytes = new Uint8Array(sizeOf(shape) * bytesOf(dtype));
    backend.read(storage, 0, bytes);
    return decode(dtype, bytes.buffer, 0, sizeOf(shape));
  };
  const query = [batch, time, heads, headDim], key = [batch, time, kvHeads, headDim];
  const numbers = (shape: readonly number[], step: number): View =>
    make(shape, "bf16", Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(step * i)));
  const integers = (values: readonly number[]): View => make([values.length], "i32", values);
  try {
    const params: AttentionParams = { causal: true, window: 0, scale: 1 / Math.sqrt(headDim) };
    const [q, k, v, dout] = [[query, 1], [key, 2], [key, 3], [query, 5]]
      .map(([shape, step]) => numbers(shape as number[], step as number));
    const sequences = [[0, time, 2 * time], [0, time], [time, time]].map(integers);
    const outputs = (): View[] => [make(query, "bf16"), make(query.slice(0, -1), "f32")];
    const gradients = (): View[] => [query, key, key].map((shape) => make(shape, "bf16"));
    const [ours, theirs] = [outputs(), outputs()];
    const [ourGradients, theirGradients] = [gradients(), gradients()];
    backend.run(attention, [q, k, v, ...sequences], ours, params);
    const [out, lse] = ours, [dq, dk, dv] = theirGradients;
    const [backwardOp] = attention.companions!;
    backend.run(backwardOp, [q, k, v, out, lse, dout, ...sequences], ourGradients, params);
    const call = { q, k, v, causal: true, scale: params.scale };
    compute({ ...call, out: theirs[0], lse: theirs[1], backward: null });
    compute({ ...call, out, lse, backward: { dout, dq, dk, dv } });
    const names = ["outputs", "log-sum-exps", "gradients of q", "gradients of k", "gradients of v"];
    const pairs = [...ours, ...ourGradients].map((x, i) =>
      [names[i], read(x), read([...theirs, ...theirGradients][i])] as const
    );
    return pairs.map(differenceOf).find((difference) => difference !== "") ?? "";
  } finally {
    for (const { storage } of views) storage.release();
  }
}

function differenceOf(
  [name, ours, theirs]: readonly [string, ArrayLike<number>, ArrayLike<number>],
): string {
  const top = Math.max(...Array.from(ours, Math.abs));
  const difference = Array.from(ours, (x, i) => Math.abs(x - theirs[i]))
    .reduce((a, b) => a >= b ? a : b, 0); // NaN stays
  return difference <= tolerance * top
    ? ""
    : `its ${name} differ from ours by ${difference} (of ${top})`;
}
