/**
 * Whether this machine computes right: a few kernels against the definitions of their ops.
 *
 * @module
 */
import { allOps } from "../tensor/backend/cpu_kernels.ts";
import {
  type AnyOp,
  call,
  type DeviceName,
  type DType,
  isFloating,
  RandomKey,
  type Sample,
  scope,
  sizeOf,
  Tensor,
} from "../tensor/mod.ts";

/** What a check found. */
export interface CheckResult {
  /** The op and the element type, as in `matmul bf16`. */
  readonly name: string;
  readonly passed: boolean;
  /** What went wrong; empty when nothing did. */
  readonly detail: string;
}

/** What a model's time goes to. */
const checked = [
  "embedding",
  "rmsNorm",
  "linear",
  "matmul",
  "rope",
  "attention",
  "swiglu",
  "softmax",
];
/** |kernel − reference| ≤ tolerance · max(1, largest |reference|). bf16 keeps 8 bits. */
const tolerances = { f32: 1e-4, bf16: 5e-2 } as const;

/** Runs every sample of a few ops as f32 and as bf16 on a device. */
export function selfTest(device: DeviceName = "cpu"): CheckResult[] {
  const ops = allOps();
  return checked.map((name) => ops.find((op) => op.name === name)!).flatMap((op) =>
    (["f32", "bf16"] as const).map((dtype) => check(op, dtype, device))
  );
}

function check(op: AnyOp, dtype: "f32" | "bf16", device: DeviceName): CheckResult {
  const name = `${op.name} ${dtype}${device === "cuda" ? " on the GPU" : ""}`;
  try {
    const error = Math.max(
      ...op.samples.map((sample) => scope(() => errorOf(op, sample, dtype, device))),
    );
    const passed = error <= tolerances[dtype];
    const detail = passed ? "" : `off by ${error.toExponential(1)} (at most ${tolerances[dtype]})`;
    return { name, passed, detail };
  } catch (error) {
    return { name, passed: false, detail: (error as Error).message };
  }
}

/** The largest difference between the kernel and the reference, relative to the largest number. */
function errorOf(
  op: AnyOp,
  sample: Sample<unknown>,
  dtype: "f32" | "bf16",
  device: DeviceName,
): number {
  // Rounded to bf16 first: the reference, in f64, starts from the same numbers.
  const inputs = inputsOf(sample, dtype, device);
  const exact = inputs.map((x, i) => sample.dtypes?.[i] ? x : x.to("f64"));
  const outputs = call(op, inputs, sample.params);
  const expected = call(op, exact, sample.params);
  return Math.max(...outputs.map((y, i) => difference(y.data(), expected[i].data())));
}

function inputsOf(
  { shapes, dtypes, draw }: Sample<unknown>,
  dtype: DType,
  device: DeviceName,
): Tensor[] {
  return shapes.map((shape, i) => {
    const key = new RandomKey(1).derive("self-test").derive(i);
    const values = Float64Array.from({ length: sizeOf(shape) }, (_, index) => {
      const uniform = key.uniform(index);
      return draw ? draw(i, uniform, index) : 4 * uniform - 2;
    });
    const type = dtypes?.[i] ?? dtype;
    if (!isFloating(type)) return Tensor.from(values, shape, { dtype: type, device });
    return Tensor.from(values, shape, { dtype: "bf16", device }).to(type);
  });
}

function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [largest, scale] = [0, 1];
  for (let i = 0; i < expected.length; i++) {
    if (Object.is(actual[i], expected[i]) || actual[i] === expected[i]) continue;
    const apart = Math.abs(actual[i] - expected[i]);
    // NaN where there should be a number is as wrong as can be.
    largest = Math.max(largest, Number.isNaN(apart) ? Infinity : apart);
    if (Number.isFinite(expected[i])) scale = Math.max(scale, Math.abs(expected[i]));
  }
  return largest / scale;
}
