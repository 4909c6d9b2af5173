/**
 * Global knowledge distillation: a student learns to predict what its teacher predicts.
 *
 * @module
 */
import type { Decoder } from "../nn/mod.ts";
import {
  type Chunking,
  cosineLoss,
  type DivergenceOptions,
  linearCrossEntropy,
  linearKl,
  linearTopKKl,
  noGrad,
  Tensor,
} from "../tensor/mod.ts";
import { compareDecoders } from "./compare.ts";
import type { BatchSource, Stage, StepLoss, TokenBatch } from "./stage.ts";
import type { TeacherBatch } from "./teacher_logits.ts";
import { heldOutFigures, trainedTokens } from "./token_loss.ts";

/** What a student learns from its teacher, and how. */
export interface DistillLosses extends Chunking {
  /** Which divergence of predictions: `forward`, KL(teacher‖student), by default; `reverse` or `jsd`. */
  readonly direction?: DivergenceOptions["direction"];
  /** Share of the teacher in the mixture of `jsd`; 0.5 by default. */
  readonly beta?: number;
  /** Divides the logits of both; 1 by default. */
  readonly temperature?: number;
  /** Times the divergence; 1 by default. */
  readonly klWeight?: number;
  /** Times Σ (1 − cos) of the residual streams after each of the student's blocks; 1 by default. */
  readonly cosineWeight?: number;
  /** Times the cross-entropy of the text itself; 0 by default, since it makes students worse (Puzzle, section 3.4). */
  readonly lossWeight?: number;
  /**
   * For each depth of the student (0, the embedding, to its number of blocks), that of the teacher whose residual stream
   * it should match, such as `FusedModel.depths`. By default the same depth, or in proportion where their numbers differ.
   */
  readonly depths?: readonly number[];
}

/** What a distillation stage needs. */
export interface DistillOptions extends DistillLosses {
  /** What learns: a decoder, whole or in part. */
  readonly student: Decoder;
  /** Loaded without `train`; null when batches bring what it predicts. */
  readonly teacher: Decoder | null;
  /** Text; of `readTeacherLogits()` where there is no teacher. */
  readonly batches: BatchSource<TokenBatch>;
  /** Text to evaluate with. */
  readonly heldOut?: readonly TokenBatch[];
  /** A text to look at. */
  readonly sample?: () => Promise<string>;
}

/**
 * A stage whose loss is, over the trained tokens,
 *
 *     klWeight · KL(p_teacher ‖ p_student) + cosineWeight · Σ_l (1 − cos(h_student^l, h_teacher^l)) + lossWeight · CE
 *
 * The logits of either are never all there. With stored logits the divergence is over the entries that were stored, and
 * there are no residual streams to compare. Throws TypeError when the two do not fit each other.
 *
 * Source: Bercovich et al., "Puzzle", 2024, section 3.4.
 */
export function distillStage(options: DistillOptions): Stage<TokenBatch> {
  const { student, teacher, batches, heldOut, sample, cosineWeight = 1 } = options;
  const depths = cosineWeight > 0 && teacher
    ? checkedDepths(student, teacher, options.depths)
    : null;
  return {
    name: "distill",
    model: student,
    batches,
    weight: trainedTokens,
    tokens: ({ ids }) => ids.length,
    loss: (batch, total) =>
      teacher
        ? liveLoss(teacher, depths, options, batch, total)
        : storedLoss(options, batch, total),
    ...(heldOut && {
      evaluate: () => {
        if (!teacher) return Promise.resolve(heldOutFigures(student, heldOut));
        const { loss, kl, cosine } = compareDecoders(teacher, student, heldOut);
        return Promise.resolve({ loss, kl, cosine });
      },
    }),
    ...(sample && { sample }),
  };
}

/** Against a teacher that runs beside the student. */
function liveLoss(
  teacher: Decoder,
  depths: readonly number[] | null,
  options: DistillOptions,
  batch: TokenBatch,
  total: number,
): StepLoss {
  const { student, klWeight = 1, cosineWeight = 1 } = options;
  const target = noGrad(() => observed(teacher, batch, new Set(depths?.slice(1))));
  const own = observed(student, batch, new Set(depths?.keys().drop(1)));
  const weighting = weightingOf(batch, total), sum = new LossSum();
  if (klWeight > 0) {
    const heads = [own.hidden, student.headWeight, target.hidden, teacher.headWeight] as const;
    sum.add("kl", linearKl(...heads, { ...divergenceOf(options), ...weighting }).loss, klWeight);
  }
  for (const [depth, stream] of own.streams) {
    const cosine = cosineLoss(stream, target.streams.get(depths![depth])!, weighting);
    sum.add("cosine", cosine, cosineWeight);
  }
  addTextLoss(sum, options, batch, own.hidden, total);
  return sum.result(trainedTokens(batch) / total);
}

/** Against logits that a teacher left behind. */
function storedLoss(
  options: DistillOptions,
  batch: TokenBatch & Partial<TeacherBatch>,
  total: number,
): StepLoss {
  const { student, klWeight = 1 } = options, tokens = batch.ids.length;
  if (!batch.topIndices || !batch.topLogits) {
    throw new TypeError(
      `distill: there is neither a teacher nor its stored logits. Give the stage one of both.`,
    );
  }
  const own = observed(student, batch, new Set()), sum = new LossSum();
  const shape = [tokens, batch.topIndices.length / tokens];
  const indices = Tensor.from(batch.topIndices, shape, { dtype: "i32" });
  const logits = Tensor.from(batch.topLogits, shape);
  const settings = { ...divergenceOf(options), ...weightingOf(batch, total) };
  const { loss } = linearTopKKl(own.hidden, student.headWeight, indices, logits, settings);
  sum.add("kl", loss, klWeight);
  addTextLoss(sum, options, batch, own.hidden, total);
  return sum.result(trainedTokens(batch) / total);
}

function addTextLoss(
  sum: LossSum,
  { student, lossWeight = 0, chunk }: DistillOptions,
  { targets }: TokenBatch,
  hidden: Tensor,
  total: number,
): void {
  if (lossWeight === 0) return;
  const tensor = Tensor.from(targets, [targets.length], { dtype: "i32" });
  const settings = { normalizer: total, ...(chunk === undefined ? {} : { chunk }) };
  const { loss } = linearCrossEntropy(hidden, student.headWeight, tensor, settings);
  sum.add("cross_entropy", loss, lossWeight);
}

/** Adds losses up, and tells each of them. */
class LossSum {
  #loss: Tensor | null = null;
  readonly #parts = new Map<string, number>();

  add(name: string, part: Tensor, weight: number): void {
    const weighted = part.mul(weight);
    this.#loss = this.#loss?.add(weighted) ?? weighted;
    this.#parts.set(name, (this.#parts.get(name) ?? 0) + part.item());
  }

  /** `share`: the batch's part of the step's tokens, by which all losses were scaled. */
  result(share: number): StepLoss {
    const metrics = this.#parts.entries().map(([name, value]) => [name, value / share]);
    return { loss: this.#loss ?? Tensor.zeros([]), metrics: Object.fromEntries(metrics) };
  }
}

/** What a head reads, and the residual streams at some depths, [tokens, dim]. */
function observed(
  decoder: Decoder,
  { ids, lengths }: TokenBatch,
  wanted: ReadonlySet<number>,
): { readonly hidden: Tensor; readonly streams: ReadonlyMap<number, Tensor> } {
  const streams = new Map<number, Tensor>();
  const observe = (depth: number, stream: Tensor): void => {
    if (wanted.has(depth)) streams.set(depth, stream);
  };
  const tensor = Tensor.from(ids, [ids.length], { dtype: "i32" });
  const options = wanted.size > 0 ? { lengths, observe } : { lengths };
  return { hidden: decoder.hidden(tensor, options), streams };
}

/** Trained tokens count, the others do not. */
function weightingOf({ targets }: TokenBatch, total: number) {
  const counts = Float32Array.from(targets, (target) => target >= 0 ? 1 : 0);
  return { tokenWeights: Tensor.from(counts), normalizer: total };
}

function divergenceOf(
  { direction = "forward", beta = 0.5, temperature = 1, chunk }: DistillLosses,
): DivergenceOptions & Chunking {
  return { direction, beta, temperature, ...(chunk === undefined ? {} : { chunk }) };
}

/** The teacher's depth for each of the student's. */
function checkedDepths(
  student: Decoder,
  teacher: Decoder,
  given: readonly number[] | undefined,
): readonly number[] {
  const [own, other] = [student.spec.blocks.length, teacher.spec.blocks.length];
  const depths = given ??
    Array.from({ length: own + 1 }, (_, depth) => Math.round(depth * other / own));
  const fits = depths.length === own + 1 &&
    depths.every((depth) => Number.isInteger(depth) && depth >= 0 && depth <= other);
  if (!fits) {
    throw new TypeError(
      `distill: depths [${depths}] do not map ${own} blocks to ${other}. Give ${own + 1} numbers ` +
        `from 0 to ${other}.`,
    );
  }
  if (student.spec.dim !== teacher.spec.dim) {
    throw new TypeError(
      `distill: residual streams of different sizes cannot be compared (${student.spec.dim} vs ` +
        `${teacher.spec.dim}). Set cosineWeight to 0.`,
    );
  }
  return depths;
}
