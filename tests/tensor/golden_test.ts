/**
 * Ops mean what they mean in PyTorch, also for ties, NaN, empty axes and rounding. The cases come from tests/golden/ops.py.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type DType, isFloating, Tensor } from "../../tensor/mod.ts";
import { assertClose, tensorTest, type Tolerance } from "../support.ts";

/** Numbers as JSON has them; the others are strings. */
interface GoldenTensor {
  readonly shape: number[];
  readonly dtype: DType;
  readonly data: (number | string)[];
}

interface GoldenParams {
  readonly axis?: number;
  readonly k?: number;
  readonly count?: number;
  readonly dtype?: DType;
  readonly descending?: boolean;
}

interface GoldenCase {
  readonly op: string;
  readonly params: GoldenParams;
  readonly inputs: GoldenTensor[];
  readonly outputs: GoldenTensor[];
  /** Of the sum of the outputs' elements weighted 1, 2, 3, …; absent where nothing was differentiated. */
  readonly gradients?: (GoldenTensor | null)[];
}

type Compute = (inputs: Tensor[], params: GoldenParams) => Tensor | Tensor[];

/** Ops that are not a method of the first input with the other inputs as arguments. */
const special: Readonly<Record<string, Compute>> = {
  max: ([x], { axis }) => x.max(axis),
  min: ([x], { axis }) => x.min(axis),
  sum: ([x], { axis }) => x.sum(axis),
  mean: ([x], { axis }) => x.mean(axis),
  logSumExp: ([x], { axis }) => x.logSumExp(axis),
  argmax: ([x], { axis }) => x.argmax(axis),
  softmax: ([x], { axis }) => x.softmax(axis!),
  logSoftmax: ([x], { axis }) => x.logSoftmax(axis!),
  cumsum: ([x], { axis }) => x.cumsum(axis!),
  sort: ([x], { axis, descending }) => x.sort(axis, { descending: descending! }),
  topK: ([x], { axis, k }) => x.topK(k!, axis),
  gather: ([x, indices], { axis }) => x.gather(axis!, indices),
  scatterAdd: ([x, indices, source], { axis }) => x.scatterAdd(axis!, indices, source),
  concat: (inputs, { axis }) => Tensor.concat(inputs, axis),
  stack: (inputs, { axis }) => Tensor.stack(inputs, axis),
  chunk: ([x], { axis, count }) => x.chunk(count!, axis),
  to: ([x], { dtype }) => x.to(dtype!),
};

function compute({ op, params }: GoldenCase, inputs: Tensor[]): Tensor[] {
  const method = special[op] ??
    (([x, ...rest]) =>
      (x[op as keyof Tensor] as unknown as (...rest: Tensor[]) => Tensor).apply(x, rest));
  const result = method(inputs, params);
  return Array.isArray(result) ? result : [result];
}

const numbers = ({ data }: GoldenTensor): Float64Array => Float64Array.from(data, Number);

/** Results in 16 bits are equal, or off by one rounding where a function is approximated. */
function toleranceOf(op: string, dtype: DType): Tolerance {
  if (op === "exp" && dtype === "bf16") return { absolute: 0, relative: 2 ** -7 };
  if (!["f32", "f64"].includes(dtype)) return { absolute: 0, relative: 0 };
  return { absolute: 4e-7, relative: 2e-6 };
}

const cases = JSON.parse(
  Deno.readTextFileSync(new URL("../golden/ops.json", import.meta.url)),
) as GoldenCase[];

function checkCase(golden: GoldenCase): void {
  const { op, gradients } = golden;
  const inputs = golden.inputs.map((x) => {
    const tensor = Tensor.from(numbers(x), x.shape, { dtype: x.dtype });
    return gradients && isFloating(x.dtype) ? tensor.requireGrad() : tensor;
  });
  const outputs = compute(golden, inputs);
  assert.equal(outputs.length, golden.outputs.length, `${op}: number of outputs`);
  outputs.forEach((y, i) => {
    const expected = golden.outputs[i];
    assert.deepEqual([...y.shape], expected.shape, `${op}: shape of output ${i}`);
    assert.equal(y.dtype, expected.dtype, `${op}: type of output ${i}`);
    assertClose(y.data(), numbers(expected), toleranceOf(op, y.dtype), `${op}, output ${i}`);
  });
  if (gradients) checkGradients(golden, inputs, outputs);
}

function checkGradients({ op, gradients }: GoldenCase, inputs: Tensor[], outputs: Tensor[]): void {
  const smooth = outputs.filter((y) => y.requiresGrad);
  const weighted = smooth.map((y) => {
    const weights = Float64Array.from({ length: y.size }, (_, i) => i + 1);
    return y.mul(Tensor.from(weights, y.shape, { dtype: y.dtype })).sum();
  });
  const total = weighted.reduce((a, b) => a.add(b)); // may be no number: gradients are compared all the same
  total.backward(Tensor.ones([], { dtype: total.dtype }));
  gradients!.forEach((expected, i) => {
    if (!expected) return;
    const actual = inputs[i].grad!.data();
    assertClose(actual, numbers(expected), toleranceOf(op, expected.dtype), `${op}, gradient ${i}`);
  });
}

cases.forEach((golden, i) => {
  const shapes = golden.inputs.map(({ shape, dtype }) => `${dtype} [${shape.join(", ")}]`);
  const params = JSON.stringify(golden.params);
  tensorTest(
    `${golden.op}(${shapes.join(", ")}, ${params}) equals PyTorch's result (case ${i})`,
    () => checkCase(golden),
  );
});
