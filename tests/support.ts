/**
 * What tests share: leak-checked tests, comparisons, reproducible numbers.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  defaultDevice,
  device,
  type DType,
  scope,
  type Shape,
  sizeOf,
  Tensor,
} from "../tensor/mod.ts";

// Load the kernels before the first test: a library loaded inside one would count as its leak.
device().warm();

/** Define a test whose body runs in a scope, and which fails when tensors are left over. */
export function tensorTest(name: string, body: () => void): void {
  Deno.test(name, () => {
    const { memory: before } = device(defaultDevice());
    scope(body);
    const { memory: after } = device(defaultDevice());
    assert.equal(after.inUse - before.inUse, 0, `${name}: bytes leaked`);
    assert.equal(after.blocks - before.blocks, 0, `${name}: blocks leaked`);
  });
}

/** Reproducible uniform numbers in [0, 1). */
export function uniforms(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A tensor of reproducible numbers in [-1, 1). */
export function randomTensor(shape: Shape, seed: number, dtype: DType = "f32"): Tensor {
  const next = uniforms(seed);
  return Tensor.from(Float64Array.from({ length: sizeOf(shape) }, () => 2 * next() - 1), shape, {
    dtype,
  });
}

/** The same elements behind strides that are not row-major, where the shape allows it. */
export function scattered(x: Tensor): Tensor {
  const axes = x.shape.map((_, axis) => x.rank - 1 - axis);
  if (x.rank >= 2) return x.permute(axes).contiguous().permute(axes);
  if (x.rank === 0 || x.size === 0) return x;
  const twice = Tensor.zeros([x.shape[0], 2], { dtype: x.dtype });
  twice.select(1, 1).assign(x);
  return twice.select(1, 1);
}

/** What counts as equal: |a − b| ≤ absolute · max(1, largest |b|) + relative · |b|. */
export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
}

/** Fail unless the numbers are close, NaN and infinities equal. */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { absolute, relative }: Tolerance,
  what: string,
): void {
  assert.equal(actual.length, expected.length, `${what}: lengths differ`);
  let scale = 1;
  for (let i = 0; i < expected.length; i++) {
    if (Number.isFinite(expected[i])) scale = Math.max(scale, Math.abs(expected[i]));
  }
  for (let i = 0; i < expected.length; i++) {
    const a = actual[i], b = expected[i];
    if (Object.is(a, b) || a === b) continue;
    const close = Math.abs(a - b) <= absolute * scale + relative * Math.abs(b);
    assert.ok(
      close,
      `${what}: element ${i} is ${a}, expected ${b} (difference ${Math.abs(a - b)})`,
    );
  }
}
