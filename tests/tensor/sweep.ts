/**
 * The checks that every op must pass, generated from its samples.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  type AnyOp,
  call,
  type DType,
  isFloating,
  type Sample,
  sizeOf,
  Tensor,
} from "../../tensor/mod.ts";
import { assertClose, scattered, type Tolerance, uniforms } from "../support.ts";

/** How far a kernel may be from the float64 reference. bf16 keeps 8 bits; sums of many terms add rounding errors. */
export const tolerances: Partial<Record<DType, Tolerance>> = {
  f32: { absolute: 1e-5, relative: 2e-5 },
  bf16: { absolute: 2e-2, relative: 3e-2 },
  i32: { absolute: 0, relative: 0 },
};

/** Title of a sample, as in `matmul([2, 3], [3, 4])`. */
export function title(op: AnyOp, { shapes, params }: Sample<unknown>): string {
  const extra = JSON.stringify(params);
  const inputs = shapes.map((shape) => `[${shape.join(", ")}]`).join(", ");
  return `${op.name}(${inputs}${extra === undefined || extra === "{}" ? "" : `, ${extra}`})`;
}

/** The inputs of a sample, floating ones as `dtype`. The numbers are such that every type holds them exactly. */
export function inputsOf(
  { shapes, dtypes, draw }: Sample<unknown>,
  dtype: DType,
  seed = 1,
): Tensor[] {
  const next = uniforms(seed);
  return shapes.map((shape, i) => {
    const values = Float64Array.from({ length: sizeOf(shape) }, (_, index) => {
      const uniform = Math.floor(next() * 256) / 256;
      return draw ? draw(i, uniform, index) : 4 * uniform - 2;
    });
    const type = dtypes?.[i] ?? dtype;
    // Rounded to bf16 first, so that f64, f32 and bf16 runs start from equal inputs.
    if (!isFloating(type)) return Tensor.from(values, shape, { dtype: type });
    return Tensor.from(values, shape, { dtype: "bf16" }).to(type);
  });
}

/** Numbers to weigh outputs or to step inputs with. */
function direction(shape: readonly number[], seed: number): Float64Array {
  const next = uniforms(seed);
  return Float64Array.from({ length: sizeOf(shape) }, () => Math.floor(next() * 256) / 128 - 1);
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
};

/** Inputs that gradients flow to. */
const isLeaf = (op: AnyOp) => (x: Tensor, i: number): boolean =>
  isFloating(x.dtype) && !op.constantInputs?.includes(i);

const differentiable = (op: AnyOp, outputs: readonly Tensor[]): Tensor[] =>
  outputs.filter((y, i) => isFloating(y.dtype) && !op.constantOutputs?.includes(i));

/** Σ ⟨v, y⟩ over the differentiable outputs. */
function weigh(op: AnyOp, outputs: readonly Tensor[]): Tensor {
  return differentiable(op, outputs)
    .map((y, i) =>
      y.mul(Tensor.from(direction(y.shape, 50 + i), y.shape, { dtype: y.dtype })).sum()
    )
    .reduce((a, b) => a.add(b));
}

/** ⟨v, (f(x + hu) − f(x − hu)) / 2h⟩ against ⟨vjp(v), u⟩ for random directions, in float64 by the reference. */
export function checkGradient(op: AnyOp, sample: Sample<unknown>): void {
  const inputs = inputsOf(sample, "f64");
  const leaves = inputs.filter(isLeaf(op));
  for (const x of leaves) x.requireGrad();
  weigh(op, call(op, inputs, sample.params)).backward();
  const h = 1e-5;
  leaves.forEach((leaf) => {
    const i = inputs.indexOf(leaf), u = direction(leaf.shape, 9 + i), x = leaf.data();
    const value = (sign: number): number => {
      const moved = Tensor.from(x.map((e, k) => e + sign * h * u[k]), leaf.shape, { dtype: "f64" });
      return weigh(op, call(op, inputs.map((y, j) => j === i ? moved : y.detach()), sample.params))
        .item();
    };
    const expected = (value(1) - value(-1)) / (2 * h);
    const actual = leaf.grad ? dot(leaf.grad.data(), u) : 0;
    const error = Math.abs(actual - expected);
    assert.ok(
      error <= 1e-4 * Math.max(1, Math.abs(expected)),
      `${
        title(op, sample)
      }: the gradient of input ${i} is ${actual}, finite differences say ${expected}`,
    );
  });
}

/** Outputs, and gradients of the floating inputs where the op has any. */
function evaluate(
  op: AnyOp,
  sample: Sample<unknown>,
  inputs: Tensor[],
): { outputs: Tensor[]; gradients: Tensor[] } {
  const gradients = op.vjp ? inputs.filter(isLeaf(op)) : [];
  const leaves = gradients.map((x) => x.detach().requireGrad());
  const outputs = call(op, inputs.map((x) => leaves[gradients.indexOf(x)] ?? x), sample.params);
  if (op.vjp && differentiable(op, outputs).length > 0) weigh(op, outputs).backward();
  return { outputs, gradients: leaves.map((leaf) => leaf.grad ?? Tensor.zeros(leaf.shape)) };
}

/** Orders in which the threads of a simulated GPU take turns: those of `CUDASIM_ORDERS`, or the one that is set. */
function threadOrders(): string[] {
  const given = Deno.env.get("CUDASIM_ORDERS") ?? Deno.env.get("CUDASIM_ORDER") ?? "forward";
  return given.split(",");
}

/** The kernel agrees with the float64 reference, outputs and gradients, also for inputs that are not contiguous. */
export function checkKernel(op: AnyOp, sample: Sample<unknown>, dtype: DType): void {
  const tolerance = tolerances[dtype]!;
  const expected = evaluate(op, sample, inputsOf(sample, "f64"));
  for (const order of threadOrders()) {
    Deno.env.set("CUDASIM_ORDER", order);
    for (const layout of ["contiguous", "scattered"]) {
      const inputs = inputsOf(sample, dtype);
      const actual = evaluate(op, sample, layout === "scattered" ? inputs.map(scattered) : inputs);
      const compare = (kind: "outputs" | "gradients"): void =>
        expected[kind].forEach((y, i) => {
          const what = `${title(op, sample)} ${dtype} ${layout}, threads ${order}, ${kind} ${i}`;
          assertClose(actual[kind][i].data(), y.data(), tolerance, what);
        });
      compare("outputs");
      compare("gradients");
    }
  }
}

/** The same bits with any number of threads. */
export function checkThreads(
  op: AnyOp,
  sample: Sample<unknown>,
  dtype: DType,
  use: (threads: number) => void,
): void {
  const run = (threads: number): string => {
    use(threads);
    const { outputs, gradients } = evaluate(op, sample, inputsOf(sample, dtype));
    return [...outputs, ...gradients].map((y) => y.data().join()).join("; ");
  };
  const one = run(1);
  for (const threads of [2, 3]) {
    assert.equal(run(threads), one, `${title(op, sample)} ${dtype}: ${threads} threads`);
  }
}

/** Disposing the inputs after the call does not break the gradient. */
export function checkDisposal(op: AnyOp, sample: Sample<unknown>): void {
  const leaves = inputsOf(sample, "f64").map((x, i) => isLeaf(op)(x, i) ? x.requireGrad() : x);
  const middle = leaves.map((x) => x.requiresGrad ? x.mul(1) : x.clone());
  const loss = weigh(op, call(op, middle, sample.params));
  for (const x of middle) x[Symbol.dispose]();
  loss.backward();
}
