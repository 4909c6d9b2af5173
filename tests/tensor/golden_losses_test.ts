/**
 * Losses and optimizers against PyTorch: `tests/golden/losses.py` wrote the numbers.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  adamw,
  cosineLoss,
  crossEntropy,
  type Direction,
  klDiv,
  linearCrossEntropy,
  linearKl,
  linearLogProbs,
  linearTopKKl,
  mseLoss,
  normalizedMse,
  sgd,
  Tensor,
} from "../../tensor/mod.ts";
import { assertClose, tensorTest, type Tolerance } from "../support.ts";
import golden from "../golden/losses.json" with { type: "json" };

const close: Tolerance = { absolute: 2e-6, relative: 2e-6 };

tensorTest("adamw takes the steps of torch.optim.AdamW", () => {
  const { start, gradients, adamw: { options, path } } = golden.optimizers;
  const master = Tensor.from(start), m = Tensor.zeros([8]), v = Tensor.zeros([8]);
  gradients.forEach((values, i) => {
    const gradient = Tensor.from(values);
    adamw({ master, gradient, m, v }, { ...options, decayCount: 4, step: i + 1 });
    assertClose(master.data(), path[i], close, `step ${i + 1}`);
  });
});

tensorTest("sgd takes the steps of torch.optim.SGD", () => {
  const { start, gradients, sgd: cases } = golden.optimizers;
  assert.equal(cases.length, 3);
  for (const { options, path } of cases) {
    const master = Tensor.from(start), velocity = Tensor.zeros([8]);
    const arena = options.momentum === 0 ? { master } : { master, velocity };
    gradients.forEach((values, i) => {
      sgd({ ...arena, gradient: Tensor.from(values) }, { ...options, decayCount: 4 });
      assertClose(master.data(), path[i], close, `${JSON.stringify(options)} step ${i + 1}`);
    });
  }
});

const i32 = (values: number[] | number[][]): Tensor =>
  Tensor.from(values, undefined, { dtype: "i32" });

/** A head of leaves. */
function headOf(
  { hidden, weight }: { hidden: number[][]; weight: number[][] },
): { hidden: Tensor; weight: Tensor } {
  return {
    hidden: Tensor.from(hidden).requireGrad(),
    weight: Tensor.from(weight).requireGrad(),
  };
}

/** Go back from the loss, and compare it and the gradients of the head. */
function compareHead(
  loss: Tensor,
  head: { hidden: Tensor; weight: Tensor },
  expected: { loss: number; dHidden: number[][]; dWeight: number[][] },
  what: string,
): void {
  assertClose(loss.data(), [expected.loss], close, `${what}: loss`);
  loss.backward();
  assertClose(head.hidden.grad!.data(), expected.dHidden.flat(), close, `${what}: hidden`);
  assertClose(head.weight.grad!.data(), expected.dWeight.flat(), close, `${what}: weight`);
}

tensorTest("crossEntropy is F.cross_entropy, with ignored targets, smoothing and z-loss", () => {
  for (const { ignoreIndex, labelSmoothing, zLoss, ...expected } of golden.crossEntropy) {
    const options = { ignoreIndex, labelSmoothing, zLoss }, what = JSON.stringify(options);
    const head = headOf(expected), targets = i32(expected.targets);
    const loss = crossEntropy(head.hidden.matmul(head.weight.t()), targets, options);
    compareHead(loss, head, expected, what);
  }
});

tensorTest("linearCrossEntropy is F.cross_entropy of a linear layer, in chunks of any size", () => {
  for (const { ignoreIndex, labelSmoothing, zLoss, nll, ...expected } of golden.crossEntropy) {
    for (const chunk of [1, 4, 6, 100]) {
      const options = { ignoreIndex, labelSmoothing, zLoss, chunk };
      const head = headOf(expected), what = JSON.stringify(options);
      const result = linearCrossEntropy(head.hidden, head.weight, i32(expected.targets), options);
      assertClose(result.nll.data(), nll, close, `${what}: nll`);
      compareHead(result.loss, head, expected, what);
    }
  }
});

tensorTest("klDiv and linearKl are the divergences of trl's GKD trainer, masked", () => {
  for (const { direction, beta, temperature, mask, ...expected } of golden.divergence) {
    const options = {
      direction: direction as Direction,
      ...(direction === "jsd" ? { beta } : {}),
      temperature,
      tokenWeights: Tensor.from(mask),
    };
    const teacherHidden = Tensor.from(expected.teacherHidden);
    const teacherWeight = Tensor.from(expected.teacherWeight);
    const what = `${direction} ${beta} ${temperature}`;
    const plain = headOf(expected);
    const student = plain.hidden.matmul(plain.weight.t());
    const teacher = teacherHidden.matmul(teacherWeight.t());
    compareHead(klDiv(student, teacher, options), plain, expected, `klDiv ${what}`);
    for (const chunk of [1, 4, 100]) {
      const head = headOf(expected), chunked = { ...options, chunk };
      const { loss } = linearKl(head.hidden, head.weight, teacherHidden, teacherWeight, chunked);
      compareHead(loss, head, expected, `linearKl ${what} in chunks of ${chunk}`);
    }
  }
});

tensorTest("linearTopKKl is the divergence over the teacher's entries", () => {
  for (const { direction, indices, teacher, ...expected } of golden.topKDivergence) {
    const head = headOf(expected), options = { direction: direction as Direction };
    const logits = Tensor.from(teacher);
    const { loss } = linearTopKKl(head.hidden, head.weight, i32(indices), logits, options);
    compareHead(loss, head, expected, direction);
  }
});

tensorTest("linearLogProbs is log_softmax at the targets, with its entropy and gradient", () => {
  const { temperature, targets, seed, logProbs, entropy, ...expected } = golden.logProbs;
  for (const chunk of [1, 4, 100]) {
    const head = headOf(expected), options = { temperature, chunk };
    const result = linearLogProbs(head.hidden, head.weight, i32(targets), options);
    assertClose(result.logProbs.data(), logProbs, close, "log-probabilities");
    assertClose(result.entropy.data(), entropy, close, "entropy");
    compareHead(result.logProbs.mul(Tensor.from(seed)).sum(), head, expected, `chunk ${chunk}`);
  }
});

tensorTest("mseLoss, cosineLoss and normalizedMse are those of PyTorch", () => {
  const { x: xs, y: ys, mse, cosine, normalized, vectorwise } = golden.distances;
  const compare = (
    loss: (x: Tensor, y: Tensor) => Tensor,
    expected: { loss: number; dX: number[][]; dY?: number[][] },
    what: string,
  ): void => {
    const x = Tensor.from(xs).requireGrad(), y = Tensor.from(ys);
    if (expected.dY) y.requireGrad();
    const value = loss(x, y);
    assertClose(value.data(), [expected.loss], close, what);
    value.backward();
    assertClose(x.grad!.data(), expected.dX.flat(), close, `${what}: x`);
    if (expected.dY) assertClose(y.grad!.data(), expected.dY.flat(), close, `${what}: y`);
  };
  compare(mseLoss, mse, "mse");
  compare(cosineLoss, cosine, "cosine");
  compare(normalizedMse, normalized, "normalized by the batch");
  compare((x, y) => normalizedMse(x, y, { over: "row" }), vectorwise, "normalized by rows");
});
