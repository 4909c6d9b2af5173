/**
 * Cross-entropy of rows of logits.
 *
 * @module
 */
import type { Arguments } from "../../ffi/mod.ts";
import type { DType } from "../dtype.ts";
import { IndexError } from "../errors.ts";
import type { Binary, NumberTensor, Sample, Ternary, View } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { readIntegers } from "./integers.ts";
import { checkGradientType, checkLogits, checkPerToken, distributionOf, perRow } from "./logits.ts";
import { blockForEach } from "./launch.ts";

/** How logits and targets make a loss. */
export interface CrossEntropyParams {
  /** The target of tokens that do not count. */
  readonly ignoreIndex: number;
  /** Share of the target's probability that is spread over all entries. */
  readonly labelSmoothing: number;
  /** Times (log Σ exp z)², added to the loss. */
  readonly zLoss: number;
  /** Divides the logits. */
  readonly temperature: number;
}

/** The same, and what its gradient is. */
export interface CrossEntropyGradientParams extends CrossEntropyParams {
  /** Element type of the gradient; that of the logits by default. Another one needs f32 logits. */
  readonly dtype?: DType;
}

const name = "crossEntropy";
const source = new URL("./cross_entropy.c", import.meta.url);
const cudaSource = new URL("./cross_entropy.cu", import.meta.url);

function targetError(
  targets: ArrayLike<number>,
  vocab: number,
  { ignoreIndex }: CrossEntropyParams,
): IndexError {
  const valid = (t: number): boolean => t === ignoreIndex || (t >= 0 && t < vocab);
  const token = Array.from(targets).findIndex((t) => !valid(t));
  return new IndexError(
    `${name}: the target of token ${token} is ${
      targets[token]
    }, the vocabulary has ${vocab} entries. ` +
      `Use 0 to ${vocab - 1}, or ${ignoreIndex} for tokens that do not count.`,
  );
}

function checkTargets(
  logits: NumberTensor,
  targets: NumberTensor,
  params: CrossEntropyParams,
): void {
  const vocab = logits.shape[1];
  for (const t of targets.data) {
    if (t !== params.ignoreIndex && (t < 0 || t >= vocab)) {
      throw targetError(targets.data, vocab, params);
    }
  }
}

/** Loss, negative log-likelihood and entropy of each row. */
function reference(
  [logits, targets]: readonly NumberTensor[],
  [loss, nll, entropy]: readonly NumberTensor[],
  params: CrossEntropyParams,
): void {
  const { ignoreIndex, labelSmoothing, zLoss, temperature } = params, [rows, vocab] = logits.shape;
  checkTargets(logits, targets, params);
  for (let row = 0; row < rows; row++) {
    loss.data[row] = nll.data[row] = entropy.data[row] = 0;
    const target = targets.data[row];
    if (target === ignoreIndex) continue;
    const { logProbability, logSumExp } = distributionOf(logits, row, temperature);
    let uniform = 0; // mean of −log p
    for (let j = 0; j < vocab; j++) {
      const logP = logProbability(j);
      if (logP > -Infinity) entropy.data[row] -= Math.exp(logP) * logP;
      uniform -= logP / vocab;
    }
    nll.data[row] = -logProbability(target);
    loss.data[row] = zLoss * logSumExp ** 2 +
      (labelSmoothing > 0
        ? (1 - labelSmoothing) * nll.data[row] + labelSmoothing * uniform
        : nll.data[row]);
  }
}

function gradientReference(
  inputs: readonly NumberTensor[],
  outputs: readonly NumberTensor[],
  params: CrossEntropyParams,
): void {
  const [logits, targets, g] = inputs, [gradient, ...losses] = outputs;
  const { labelSmoothing, zLoss, temperature } = params, [rows, vocab] = logits.shape;
  reference([logits, targets], losses, params);
  for (let row = 0; row < rows; row++) {
    const target = targets.data[row], counts = target !== params.ignoreIndex && g.data[row] !== 0;
    const { logProbability, logSumExp } = distributionOf(logits, row, temperature);
    for (let j = 0; j < vocab; j++) {
      const wanted = labelSmoothing / vocab + (j === target ? 1 - labelSmoothing : 0);
      const slope = Math.exp(logProbability(j)) * (1 + 2 * zLoss * logSumExp) - wanted;
      gradient.data[row * vocab + j] = counts ? slope * g.data[row] / temperature : 0;
    }
  }
}

function appendParams(to: Arguments, logits: View, params: CrossEntropyParams): Arguments {
  to.integer(logits.shape[0]).integer(logits.shape[1]).integer(params.ignoreIndex);
  return to.float(params.labelSmoothing).float(params.zLoss).float(1 / params.temperature);
}

const error = (_: number, [logits, targets]: readonly View[], params: CrossEntropyParams): Error =>
  targetError(readIntegers(targets), logits.shape[1], params);

const plain: CrossEntropyParams = { ignoreIndex: -1, labelSmoothing: 0, zLoss: 0, temperature: 1 };
const everything: CrossEntropyParams = {
  ignoreIndex: -100,
  labelSmoothing: 0.125,
  zLoss: 0.0625,
  temperature: 2,
};

/** Samples of logits [rows, vocab] and targets, of which some are ignored, and more inputs after them. */
function samples<I extends readonly Tensor[]>(more: number): Sample<CrossEntropyParams, I>[] {
  const shapes = [[1, 1], [5, 3], [3, 33], [7, 200], [0, 4], [40, 1000]];
  return shapes.flatMap(([rows, vocab]) =>
    [plain, everything].map((params) => ({
      shapes: [[rows, vocab], [rows], ...Array(more).fill([rows])] as never,
      dtypes: [null, "i32", ...Array<DType>(more).fill("f32")],
      params,
      draw: (input: number, uniform: number) => {
        if (input !== 1) return 4 * uniform - 2;
        return uniform < 0.125 ? params.ignoreIndex : Math.floor(uniform * vocab);
      },
    }))
  );
}

/**
 * Logits [rows, vocab], targets i32 [rows] and a factor g [rows] → g times the gradient of each row's loss, and what
 * {@link crossEntropy} returns. The gradient may be written where the logits are. With `dtype` it is rounded to that
 * type while the logits are f32. A row with g = 0 has a zero gradient whatever its logits are.
 */
export const crossEntropyGradient: Ternary<CrossEntropyGradientParams> = {
  name: "crossEntropyGradient",
  outputs: ([logits, targets, g], { dtype = logits.dtype }) => {
    checkLogits(name, logits);
    checkPerToken(name, "targets", targets, logits.shape[0], "i32");
    checkPerToken(name, "gradients", g, logits.shape[0], "f32");
    checkGradientType(name, logits.dtype, dtype);
    const row = perRow(logits);
    return [{ shape: logits.shape, dtype }, row, row, row];
  },
  reference: gradientReference,
  kernel: {
    source,
    entry: "cross_entropy_gradient",
    cuda: { source: cudaSource, launches: ([logits]) => [blockForEach(logits.shape[0])] },
    dtype: (_, [gradient]) => gradient.dtype,
    arguments: (to, inputs, outputs, params) => {
      for (const x of [...outputs, ...inputs]) to.address(addressOf(x));
      appendParams(to, inputs[0], params).integer(inputs[0].dtype === "f32" ? 1 : 0);
    },
    error,
  },
  samples: [
    ...samples<readonly [Tensor, Tensor, Tensor]>(1),
    {
      shapes: [[9, 70], [9], [9]],
      dtypes: ["f32", "i32", "f32"],
      params: { ...everything, dtype: "bf16" },
      draw: (input, uniform) => input === 1 ? Math.floor(uniform * 70) : 4 * uniform - 2,
    },
  ],
};

/**
 * Logits [rows, vocab] and targets i32 [rows] → loss, negative log-likelihood −log p_t, and entropy −Σ p·log p of each row,
 * f32; zeros where the target is `ignoreIndex`. With z = logits / temperature and p = softmax(z),
 *
 *     loss = (1 − labelSmoothing)·(−log p_t) + labelSmoothing·mean(−log p) + zLoss·(log Σ exp z)²
 *
 * Throws IndexError for a target outside the vocabulary.
 */
export const crossEntropy: Binary<CrossEntropyParams> = {
  name,
  outputs: ([logits, targets]) => {
    checkLogits(name, logits);
    checkPerToken(name, "targets", targets, logits.shape[0], "i32");
    const row = perRow(logits);
    return [row, row, row];
  },
  reference,
  kernel: {
    source,
    entry: "cross_entropy",
    cuda: { source: cudaSource, launches: ([logits]) => [blockForEach(logits.shape[0])] },
    arguments: (to, inputs, outputs, params) => {
      for (const x of [...outputs, ...inputs]) to.address(addressOf(x));
      appendParams(to, inputs[0], params);
    },
    error,
  },
  companions: [crossEntropyGradient],
  constantOutputs: [1, 2],
  saves: { inputs: [0, 1] },
  vjp: ([g], { inputs: [logits, targets], params, apply }) => [
    apply(crossEntropyGradient, [logits, targets, g], params)[0],
    null,
  ],
  samples: samples(0),
};
