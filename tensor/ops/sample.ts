/**
 * Drawing tokens.
 *
 * @module
 */
import { isFloating } from "../dtype.ts";
import { DTypeError, IndexError, ShapeError } from "../errors.ts";
import { formatShape, sameShape, sizeOf } from "../layout.ts";
import type { NumberTensor, Op, Sample, View } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { blockForEach } from "./launch.ts";
import { maximaShape } from "./packed.ts";

/**
 * What a row of `controls` holds, in this order; `edits`: how many edits it and the rows before it have, `tells`: whether
 * its probability is wanted, 0 or 1.
 */
export const sampleControls = [
  "temperature",
  "topK",
  "topP",
  "minP",
  "uniform",
  "limit",
  "edits",
  "tells",
] as const;
const width = sampleControls.length, editsAt = sampleControls.indexOf("edits");
const tellsAt = sampleControls.indexOf("tells");

/** Logits, how to draw from each row, which logits to change first, and the largest logits where they are known. */
export type SampleInputs = readonly [
  logits: Tensor,
  controls: Tensor,
  edits: Tensor,
  maxima: Tensor,
];

/** rows, vocab, and the controls of each row but `edits` and `tells`, over and over. */
const cases: readonly (readonly [number, number, readonly (readonly number[])[]])[] = [
  [1, 1, [[1, 0, 1, 0, 0.5, 0]]],
  [3, 33, [[0, 0, 1, 0, 0.25, 0], [1, 0, 1, 0, 0.75, 0], [0.5, 5, 1, 0, 0.3, 0]]],
  [4, 300, [[2, 0, 0.5, 0, 0.9, 0], [1, 0, 1, 0.25, 0.1, 0], [1, 40, 0.75, 0.01, 0.6, 200]]],
  [2, 3000, [[1, 0, 0.9, 0, 0.99, 0], [0.75, 50, 0.9, 0.05, 0, 0]]],
  [0, 4, []],
];

/**
 * A token for each row of logits, [rows, vocab], its log-probability by these logits, and the logarithm of the sum of their
 * exponentials, both NaN where they are not wanted. controls: f64 [rows, 8], see `sampleControls`. edits: f64 [edits, 3], an id, a factor that divides a positive
 * logit and multiplies another one (Keskar et al., "CTRL", 2019), and a number that is added; those of the first row come
 * first. maxima: f32 [rows, blocks], the largest of each 256 logits as `linearPacked` notes them, or none, [rows, 0].
 *
 * Ids from `limit` on (0: none) are not drawn. A temperature of 0 takes the first of the most likely tokens. Otherwise
 * weights are exp(logit / temperature); those below minP times the largest are dropped, then all but the topK (0: all)
 * largest, then all but the largest that reach topP of what is left, the first ones first among equals. The token is the
 * one at which the running sum of weights passes `uniform` of their total. Where a logit is NaN or ∞, or nothing can be
 * drawn, the id is −1.
 */
export const sample: Op<void, SampleInputs> = {
  name: "sample",
  outputs: (inputs) => {
    check(inputs);
    const [{ shape: [rows] }] = inputs;
    const perRow = { shape: [rows], dtype: "f32" } as const;
    return [{ shape: [rows], dtype: "i32" }, perRow, perRow];
  },
  reference: ([logits, controls, edits], [ids, logProbs, totals]) => {
    const [rows, vocab] = logits.shape;
    for (let i = 0; i < edits.shape[0]; i++) {
      const id = edits.data[3 * i];
      if (!(id >= 0 && id < vocab)) throw outside(id, vocab);
    }
    for (let row = 0; row < rows; row++) {
      const own = Float64Array.from(logits.data.subarray(row * vocab, (row + 1) * vocab));
      const top = own.reduce((a, b) => Math.max(a, b), -Infinity);
      const total = top + Math.log(own.reduce((sum, logit) => sum + Math.exp(logit - top), 0));
      const scores = own.slice();
      const endOf = (row: number): number => row < 0 ? 0 : controls.data[row * width + editsAt];
      for (let i = endOf(row - 1); i < endOf(row); i++) {
        const [id, factor, added] = edits.data.subarray(3 * i, 3 * i + 3);
        scores[id] = (scores[id] > 0 ? scores[id] / factor : scores[id] * factor) + added;
      }
      const id = Number.isFinite(total) ? choose(scores, controls, row) : -1;
      ids.data[row] = id;
      const tells = controls.data[row * width + tellsAt] > 0;
      logProbs.data[row] = id < 0 || !tells ? NaN : own[id] - total;
      totals.data[row] = tells ? total : NaN;
    }
  },
  kernel: {
    source: new URL("./sample.c", import.meta.url),
    entry: "sample",
    cuda: {
      source: new URL("./sample.cu", import.meta.url),
      launches: ([logits]) => [blockForEach(logits.shape[0])],
      scratch: ([logits]) => 8 * sizeOf(logits.shape),
    },
    arguments: (to, inputs, outputs) => {
      const [{ shape: [rows, vocab] }, , edits, maxima] = inputs;
      for (const x of outputs) to.address(addressOf(x));
      for (const x of inputs) to.address(addressOf(x));
      to.integer(rows).integer(vocab).integer(edits.shape[0]).integer(maxima.shape[1]);
    },
    error: (_, [{ shape: [, vocab] }]) => outside("that is edited", vocab),
  },
  samples: samplesOf(),
};

/** The token that a row draws. */
function choose(scores: Float64Array, { data }: NumberTensor, row: number): number {
  const [temperature, topK, topP, minP, uniform, limit] = data.subarray(row * width);
  const count = limit > 0 ? Math.min(limit, scores.length) : scores.length;
  const order = Uint32Array.from({ length: count }, (_, id) => id)
    .sort((a, b) => scores[b] - scores[a] || a - b);
  const top = scores[order[0]];
  if (!(top > -Infinity)) return -1;
  if (temperature === 0) return order[0];
  const weight = (id: number): number => Math.exp((scores[id] - top) / temperature);
  const total = (ids: Uint32Array): number => ids.reduce((sum, id) => sum + weight(id), 0);
  let kept = order.filter((id) => weight(id) >= minP);
  if (topK > 0) kept = kept.subarray(0, topK);
  if (topP < 1) {
    const target = topP * total(kept);
    let sum = 0;
    kept = kept.filter((id) => {
      const wanted = sum < target;
      sum += weight(id);
      return wanted;
    });
  }
  kept = kept.filter((id) => weight(id) > 0).sort();
  const target = uniform * total(kept);
  let sum = 0;
  return kept.find((id) => (sum += weight(id)) > target) ?? kept.at(-1)!;
}

function check([logits, controls, edits, maxima]: readonly View[]): void {
  const [rows] = logits.shape;
  const fits = logits.shape.length === 2 && logits.shape[1] > 0 &&
    sameShape(controls.shape, [rows, width]) && sameShape(edits.shape, [edits.shape[0] ?? 0, 3]) &&
    (sameShape(maxima.shape, [rows, 0]) || sameShape(maxima.shape, maximaShape(logits.shape)));
  if (!fits) {
    throw new ShapeError(
      `sample: logits, controls, edits and maxima do not fit, ${
        [logits, controls, edits, maxima].map(({ shape }) => formatShape(shape)).join(", ")
      } (${rows} vs ${controls.shape[0]} rows). Pass a row of controls for each row of logits.`,
    );
  }
  const types = [controls, edits, maxima].map(({ dtype }) => dtype).join(", ");
  if (!isFloating(logits.dtype) || types !== "f64, f64, f32") {
    throw new DTypeError(
      `sample: logits are ${logits.dtype}, the rest ${types}. Pass f32, then f64, f64, f32.`,
    );
  }
}

function outside(id: number | string, vocab: number): IndexError {
  return new IndexError(
    `sample: an id ${id} is not in the vocabulary (${vocab}). Use ids from 0 to ${vocab - 1}.`,
  );
}

function samplesOf(): Sample<void, SampleInputs>[] {
  return cases.map(([rows, vocab, controls]) => ({
    shapes: [[rows, vocab], [rows, width], [2 * rows, 3], [rows, 0]],
    params: undefined,
    dtypes: [null, "f64", "f64", "f32"],
    draw: (input, uniform, index) => {
      if (input === 0) return 16 * uniform - 8;
      const row = Math.floor(index / width);
      if (input === 1) {
        const { [row % controls.length]: own } = controls;
        return [...own, 2 * (row + 1), Number(row % 3 !== 1)][index % width];
      }
      return [Math.floor(uniform * vocab), 1 + uniform, 2 * uniform - 1][index % 3];
    },
  }));
}
