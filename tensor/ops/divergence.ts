/**
 * Divergences between the distributions of a student and a teacher.
 *
 * @module
 */
import type { Arguments } from "../../ffi/mod.ts";
import type { DType } from "../dtype.ts";
import { DTypeError, ShapeError } from "../errors.ts";
import { formatShape, sameShape } from "../layout.ts";
import type { Binary, Sample, TensorSpec, Ternary, View } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import {
  checkGradientType,
  checkLogits,
  checkPerToken,
  type Distribution,
  distributionOf,
  perRow,
} from "./logits.ts";
import { blockForEach } from "./launch.ts";

/**
 * Which divergence: `forward` is KL(teacher‖student), `reverse` is KL(student‖teacher), `jsd` the generalised
 * Jensen-Shannon divergence.
 */
export type Direction = "forward" | "reverse" | "jsd";

/** A divergence of two rows of logits. */
export interface DivergenceParams {
  readonly direction: Direction;
  /** Share of the teacher in the mixture of `jsd`, between 0 and 1. */
  readonly beta: number;
  /** Divides the logits of both. */
  readonly temperature: number;
}

/** The same, and what its gradient is. */
export interface DivergenceGradientParams extends DivergenceParams {
  /** Element type of the gradient; that of the logits by default. Another one needs f32 logits. */
  readonly dtype?: DType;
}

const name = "divergence";
const source = new URL("./divergence.c", import.meta.url);
const cudaSource = new URL("./divergence.cu", import.meta.url);
const directions: readonly Direction[] = ["forward", "reverse", "jsd"];

function check(student: TensorSpec, teacher: TensorSpec): void {
  checkLogits(name, student);
  checkLogits(name, teacher);
  if (!sameShape(student.shape, teacher.shape)) {
    throw new ShapeError(
      `${name}: student and teacher differ, ${formatShape(student.shape)} and ` +
        `${formatShape(teacher.shape)}. Both need the same tokens and vocabulary.`,
    );
  }
  if (student.dtype !== teacher.dtype) {
    throw new DTypeError(
      `${name}: student and teacher differ, ${student.dtype} and ${teacher.dtype}. Cast one.`,
    );
  }
}

/** p·(log p − log q); 0 where p is. */
function relative(logP: number, logQ: number): number {
  const p = Math.exp(logP);
  return p > 0 ? p * (logP - logQ) : 0;
}

/** log(β·t + (1 − β)·s). */
function logMixture(logS: number, logT: number, beta: number): number {
  return Math.log(beta * Math.exp(logT) + (1 - beta) * Math.exp(logS));
}

/** The divergence of a row of `n` entries, and its derivative by z = logits / temperature of the student. */
function divergenceOf(
  student: Distribution,
  teacher: Distribution,
  n: number,
  { direction, beta }: DivergenceParams,
): { loss: number; slope: (j: number) => number } {
  const logS = student.logProbability, logT = teacher.logProbability;
  const s = (j: number): number => Math.exp(logS(j));
  const sum = (term: (j: number) => number): number => {
    let total = 0;
    for (let j = 0; j < n; j++) total += term(j);
    return total;
  };
  if (direction === "forward") {
    return {
      loss: sum((j) => relative(logT(j), logS(j))),
      slope: (j) => s(j) - Math.exp(logT(j)),
    };
  }
  if (direction === "reverse") {
    const loss = sum((j) => relative(logS(j), logT(j)));
    return { loss, slope: (j) => relative(logS(j), logT(j)) - s(j) * loss };
  }
  const logM = (j: number): number => logMixture(logS(j), logT(j), beta);
  const ofStudent = sum((j) => relative(logS(j), logM(j)));
  const ofTeacher = sum((j) => relative(logT(j), logM(j)));
  return {
    loss: beta * ofTeacher + (1 - beta) * ofStudent,
    slope: (j) => (1 - beta) * (relative(logS(j), logM(j)) - s(j) * ofStudent),
  };
}

function appendParams(to: Arguments, student: View, params: DivergenceParams): Arguments {
  const { direction, beta, temperature } = params;
  to.integer(student.shape[0]).integer(student.shape[1]).integer(directions.indexOf(direction));
  return to.float(beta).float(1 / temperature);
}

function samples<I extends readonly Tensor[]>(more: number): Sample<DivergenceParams, I>[] {
  const sizes = [[1, 1], [5, 3], [3, 33], [7, 200], [0, 4], [40, 1000]];
  return sizes.flatMap((shape, i) =>
    directions.map((direction) => ({
      shapes: [shape, shape, ...Array(more).fill([shape[0]])] as never,
      dtypes: [null, null, ...Array<DType>(more).fill("f32")],
      params: { direction, beta: 0.25, temperature: i % 2 === 0 ? 1 : 2 },
    }))
  );
}

/**
 * Logits of student and teacher [rows, n] and a factor g [rows] → g times the gradient of each row's divergence to the
 * student's logits, and the divergence. The gradient may be written where the student's logits are. With `dtype` it is
 * rounded to that type while the logits are f32.
 */
export const divergenceGradient: Ternary<DivergenceGradientParams> = {
  name: "divergenceGradient",
  outputs: ([student, teacher, g], { dtype = student.dtype }) => {
    check(student, teacher);
    checkPerToken(name, "gradients", g, student.shape[0], "f32");
    checkGradientType(name, student.dtype, dtype);
    return [{ shape: student.shape, dtype }, perRow(student)];
  },
  reference: ([student, teacher, g], [gradient, losses], params) => {
    const [rows, n] = student.shape, { temperature } = params;
    for (let row = 0; row < rows; row++) {
      const s = distributionOf(student, row, temperature);
      const t = distributionOf(teacher, row, temperature);
      const { loss, slope } = divergenceOf(s, t, n, params), scale = g.data[row] / temperature;
      losses.data[row] = loss;
      for (let j = 0; j < n; j++) gradient.data[row * n + j] = scale === 0 ? 0 : scale * slope(j);
    }
  },
  kernel: {
    source,
    entry: "divergence_gradient",
    cuda: { source: cudaSource, launches: ([student]) => [blockForEach(student.shape[0])] },
    dtype: (_, [gradient]) => gradient.dtype,
    arguments: (to, inputs, outputs, params) => {
      for (const x of [...outputs, ...inputs]) to.address(addressOf(x));
      appendParams(to, inputs[0], params).integer(inputs[0].dtype === "f32" ? 1 : 0);
    },
  },
  samples: samples(1),
};

/**
 * Logits of student and teacher [rows, n] → their divergence, f32 [rows]. With s and t the softmax of logits / temperature
 * and m = β·t + (1 − β)·s,
 *
 *     forward  KL(t‖s) = Σ t·log(t/s)
 *     reverse  KL(s‖t)
 *     jsd      β·KL(t‖m) + (1 − β)·KL(s‖m)   (Agarwal et al., "On-Policy Distillation of Language Models", 2024)
 *
 * The gradient flows to the student only.
 */
export const divergence: Binary<DivergenceParams> = {
  name,
  outputs: ([student, teacher]) => {
    check(student, teacher);
    return [perRow(student)];
  },
  reference: ([student, teacher], [losses], params: DivergenceParams) => {
    const [rows, n] = student.shape, { temperature } = params;
    for (let row = 0; row < rows; row++) {
      const s = distributionOf(student, row, temperature);
      const t = distributionOf(teacher, row, temperature);
      losses.data[row] = divergenceOf(s, t, n, params).loss;
    }
  },
  kernel: {
    source,
    entry: "divergence",
    cuda: { source: cudaSource, launches: ([student]) => [blockForEach(student.shape[0])] },
    arguments: (to, inputs, outputs, params) => {
      for (const x of [...outputs, ...inputs]) to.address(addressOf(x));
      appendParams(to, inputs[0], params);
    },
  },
  companions: [divergenceGradient],
  constantInputs: [1],
  saves: { inputs: [0, 1] },
  vjp: ([g], { inputs: [student, teacher], params, apply }) => [
    apply(divergenceGradient, [student, teacher, g], params)[0],
    null,
  ],
  samples: samples(0),
};
