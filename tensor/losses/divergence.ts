/**
 * Divergences of a student from a teacher, of logits or of heads whose logits are never all there.
 *
 * @module
 */
import { noGrad } from "../autograd.ts";
import { ShapeError } from "../errors.ts";
import { formatShape, sameShape } from "../layout.ts";
import { type Direction, divergenceGradient, type DivergenceParams } from "../ops/divergence.ts";
import * as ops from "../ops/mod.ts";
import { scope } from "../scope.ts";
import { call, callInto, type Tensor } from "../tensor.ts";
import { attachHead } from "./attach_head.ts";
import {
  checkHead,
  ChunkedHead,
  type Chunking,
  chunkSize,
  chunksOf,
  HeadGradient,
  headNeeds,
  rowsOf,
} from "./head.ts";
import { tokenScales, type Weighting } from "./weights.ts";

/** Which divergence. With t the teacher's distribution, s the student's, m = beta·t + (1 − beta)·s: */
export interface DivergenceOptions extends Weighting {
  /** `forward`: KL(t‖s), the default; `reverse`: KL(s‖t); `jsd`: beta·KL(t‖m) + (1 − beta)·KL(s‖m). */
  readonly direction?: Direction;
  /** Share of the teacher in the mixture of `jsd`, between 0 and 1; 0.5 by default. */
  readonly beta?: number;
  /** Divides the logits of both; 1 by default. The divergence is not multiplied by its square. */
  readonly temperature?: number;
}

/** A divergence, and what each token contributes. */
export interface TokenDivergence {
  /** The weighted mean, one number. */
  readonly loss: Tensor;
  /** The divergence of each token, f32 [tokens]. No gradient. */
  readonly divergences: Tensor;
}

/** Throws RangeError for a temperature or a beta without a meaning. */
function paramsOf(op: string, options: DivergenceOptions): DivergenceParams {
  const { direction = "forward", beta = 0.5, temperature = 1 } = options;
  if (!(temperature > 0)) {
    throw new RangeError(`${op}: the temperature must be more than 0 (${temperature}).`);
  }
  if (!(beta > 0 && beta < 1)) {
    throw new RangeError(
      `${op}: beta must lie between 0 and 1 (${beta}). ` +
        `Its limits are the directions "forward" (0) and "reverse" (1).`,
    );
  }
  return { direction, beta, temperature };
}

/**
 * The mean divergence of a student's logits [tokens, vocab] from a teacher's, KL(teacher‖student) by default, f32. The
 * gradient flows to the student only.
 *
 * Throws ShapeError or DTypeError when the two differ.
 *
 * @example
 * ```ts
 * import { klDiv, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * using teacher = Tensor.from([[0, Math.log(3)]]), student = Tensor.from([[0, 0]]);
 * using loss = klDiv(student, teacher); // ¼·log ½ + ¾·log 1½
 * assert.ok(Math.abs(loss.item() - (0.25 * Math.log(0.5) + 0.75 * Math.log(1.5))) < 1e-6);
 * ```
 */
export function klDiv(student: Tensor, teacher: Tensor, options: DivergenceOptions = {}): Tensor {
  return scope(() => {
    const params = paramsOf("klDiv", options);
    const [rows] = call(ops.divergence, [student, teacher.detach()], params);
    return rows.mul(tokenScales("klDiv", rows, rows.shape, options)).sum();
  });
}

/** Throw unless both heads make logits of one shape. */
function checkHeads(
  op: string,
  [studentHidden, studentWeight]: readonly [Tensor, Tensor],
  [teacherHidden, teacherWeight]: readonly [Tensor, Tensor],
): void {
  checkHead(`${op} (student)`, studentHidden, studentWeight);
  checkHead(`${op} (teacher)`, teacherHidden, teacherWeight);
  const student = [studentHidden.shape[0], studentWeight.shape[0]];
  const teacher = [teacherHidden.shape[0], teacherWeight.shape[0]];
  if (sameShape(student, teacher)) return;
  throw new ShapeError(
    `${op}: student and teacher differ in tokens or vocabulary, ${formatShape(student)} and ` +
      `${formatShape(teacher)} logits. Both need the same tokens and vocabulary.`,
  );
}

/**
 * What {@link klDiv} computes of the logits of two heads, without ever holding more than a chunk of them. Hidden states are
 * [tokens, dim], weights [vocab, dim]; the teacher may have another dim. The gradient flows to the student's head only,
 * computed with the loss.
 *
 * Throws ShapeError or DTypeError when the inputs do not fit.
 *
 * @example
 * ```ts
 * import { linearKl, scope, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * scope(() => {
 *   const teacher = Tensor.ones([3, 2]), teacherWeight = Tensor.from([[0, 0], [1, 0]]);
 *   const student = Tensor.ones([3, 1]).requireGrad(), studentWeight = Tensor.from([[0], [1]]);
 *   const { loss } = linearKl(student, studentWeight, teacher, teacherWeight);
 *   loss.backward();
 *   assert.ok(Math.abs(loss.item()) < 1e-6); // both heads give the same logits
 *   assert.deepEqual(student.grad!.shape, [3, 1]);
 * });
 * ```
 */
export function linearKl(
  studentHidden: Tensor,
  studentWeight: Tensor,
  teacherHidden: Tensor,
  teacherWeight: Tensor,
  options: DivergenceOptions & Chunking = {},
): TokenDivergence {
  const name = "linearKl", [tokens] = studentHidden.shape, [vocab] = studentWeight.shape;
  const params = paramsOf(name, options), chunk = chunkSize(name, vocab, options);
  checkHeads(name, [studentHidden, studentWeight], [teacherHidden, teacherWeight]);
  const needs = headNeeds(studentHidden, studentWeight);
  const { loss, divergences, gradient } = noGrad(() =>
    scope(() => {
      const scales = tokenScales(name, studentHidden, [tokens], options);
      const divergences = scales.newEmpty([tokens]);
      const student = new ChunkedHead(studentHidden, studentWeight, chunk);
      const teacher = new ChunkedHead(teacherHidden, teacherWeight, chunk);
      const gradient = new HeadGradient(studentHidden, studentWeight, needs);
      for (const rows of chunksOf(tokens, chunk)) {
        const logits = [student.logits(rows), teacher.logits(rows)] as const;
        const output = rowsOf(divergences, rows);
        if (needs.hidden || needs.weight) {
          const d = student.gradient(rows), inputs = [...logits, rowsOf(scales, rows)] as const;
          callInto(divergenceGradient, inputs, [d, output], { ...params, dtype: d.dtype });
          gradient.add(d, rows);
        } else callInto(ops.divergence, logits, [output], params);
      }
      const loss = divergences.mul(scales).sum();
      return { loss, divergences, gradient: gradient.results };
    })
  );
  attachHead(name, loss, studentHidden, studentWeight, gradient);
  return { loss, divergences };
}

/**
 * The mean divergence over the K entries that a teacher gave logits for, as stored offline: both distributions are the
 * softmax over these K (NVIDIA NeMo-Aligner, knowledge distillation). hidden: [tokens, dim], weight: [vocab, dim],
 * indices: i32 [tokens, K], teacherLogits: [tokens, K]. The student's other logits are never computed.
 *
 * Throws ShapeError or DTypeError when the inputs do not fit, IndexError for an index outside the vocabulary.
 *
 * @example
 * ```ts
 * import { linearTopKKl, scope, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * scope(() => {
 *   const hidden = Tensor.ones([1, 1]).requireGrad(), weight = Tensor.from([[5], [0], [1]]);
 *   const indices = Tensor.from([[2, 1]], [1, 2], { dtype: "i32" });
 *   const { loss } = linearTopKKl(hidden, weight, indices, Tensor.from([[3, 2]]));
 *   assert.ok(Math.abs(loss.item()) < 1e-6); // the student's logits there are 1 and 0
 * });
 * ```
 */
export function linearTopKKl(
  hidden: Tensor,
  weight: Tensor,
  indices: Tensor,
  teacherLogits: Tensor,
  options: DivergenceOptions = {},
): TokenDivergence {
  return scope(() => {
    const params = paramsOf("linearTopKKl", options);
    const [student] = call(ops.gatherDot, [hidden, weight, indices], undefined);
    const teacher = teacherLogits.detach().to(student.dtype);
    const [rows] = call(ops.divergence, [student, teacher], params);
    const scales = tokenScales("linearTopKKl", rows, rows.shape, options);
    return { loss: rows.mul(scales).sum(), divergences: rows.detach() };
  });
}
