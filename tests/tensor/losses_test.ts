import assert from "node:assert/strict";
import {
  cosineLoss,
  crossEntropy,
  device,
  type DType,
  IndexError,
  klDiv,
  linearCrossEntropy,
  linearKl,
  linearLogProbs,
  linearTopKKl,
  noGrad,
  normalizedMse,
  ShapeError,
  Tensor,
} from "../../tensor/mod.ts";
import { assertClose, randomTensor, tensorTest, uniforms } from "../support.ts";

const tokens = 37, dim = 24, vocab = 150;
const close = { absolute: 2e-6, relative: 2e-5 };
const closeBf16 = { absolute: 1e-2, relative: 2e-2 };

/** Reproducible targets, some of which are ignored. */
function randomTargets(count: number, entries: number): Tensor {
  const next = uniforms(7);
  const draw = (): number => next() < 0.2 ? -1 : Math.floor(next() * entries);
  return Tensor.from(Float64Array.from({ length: count }, draw), [count], { dtype: "i32" });
}

interface Head {
  readonly hidden: Tensor;
  readonly weight: Tensor;
}

/** A head of leaves. */
function randomHead(seed = 1, dtype: DType = "f32", width = dim): Head {
  return {
    hidden: randomTensor([tokens, width], seed, dtype).requireGrad(),
    weight: randomTensor([vocab, width], seed + 1, dtype).requireGrad(),
  };
}

const losses: Record<string, (head: Head, chunk: number) => Tensor> = {
  linearCrossEntropy: ({ hidden, weight }, chunk) =>
    linearCrossEntropy(hidden, weight, randomTargets(tokens, vocab), {
      chunk,
      labelSmoothing: 0.1,
      zLoss: 1e-3,
    }).loss,
  linearKl: ({ hidden, weight }, chunk) => {
    const teacher = randomHead(5, hidden.dtype, 40);
    return linearKl(hidden, weight, teacher.hidden, teacher.weight, { chunk }).loss;
  },
  linearLogProbs: ({ hidden, weight }, chunk) =>
    linearLogProbs(hidden, weight, randomTargets(tokens, vocab), { chunk }).logProbs.mean(),
};

for (const [name, loss] of Object.entries(losses)) {
  tensorTest(`${name}: chunks change rounding only`, () => {
    const whole = randomHead();
    const expected = loss(whole, 1000);
    expected.backward();
    for (const chunk of [1, 16, 36]) {
      const head = randomHead(), actual = loss(head, chunk);
      actual.backward();
      assertClose(actual.data(), expected.data(), close, `loss in chunks of ${chunk}`);
      assertClose(head.hidden.grad!.data(), whole.hidden.grad!.data(), close, "hidden");
      assertClose(head.weight.grad!.data(), whole.weight.grad!.data(), close, "weight");
    }
  });

  tensorTest(`${name}: the same bits for any number of threads`, () => {
    const before = device().threads;
    const [one, ...others] = [1, 2, 3].map((threads) => {
      device().threads = threads;
      const head = randomHead(), value = loss(head, 16);
      value.backward();
      return [value.item(), ...head.hidden.grad!.data(), ...head.weight.grad!.data()];
    });
    device().threads = before;
    for (const other of others) assert.deepEqual(other, one);
  });

  tensorTest(`${name}: bf16 heads give f32 losses near those of f32`, () => {
    const exact = randomHead(1, "bf16"), head = randomHead(1, "bf16");
    const wide = {
      hidden: exact.hidden.detach().to("f32").requireGrad(),
      weight: exact.weight.detach().to("f32").requireGrad(),
    };
    const expected = loss(wide, 16), actual = loss(head, 16);
    assert.equal(actual.dtype, "f32");
    assertClose(actual.data(), expected.data(), closeBf16, "loss");
    expected.backward();
    actual.backward();
    const scale = tokens; // gradients of a mean are small
    const compare = (a: Tensor, b: Tensor, what: string): void =>
      assertClose(a.grad!.mul(scale).data(), b.grad!.mul(scale).data(), closeBf16, what);
    compare(head.hidden, wide.hidden, "hidden");
    compare(head.weight, wide.weight, "weight");
    assert.equal(head.weight.grad!.dtype, "f32");
  });

  tensorTest(
    `${name}: gradients add up in leaves, and go on to what inputs were computed from`,
    () => {
      const once = randomHead(), twice = randomHead(), before = randomHead();
      loss(once, 16).backward();
      for (let i = 0; i < 2; i++) loss(twice, 16).backward();
      loss({ hidden: before.hidden.mul(1), weight: before.weight.mul(1) }, 16).mul(2).backward();
      for (const part of ["hidden", "weight"] as const) {
        const expected = once[part].grad!.mul(2).data();
        assertClose(twice[part].grad!.data(), expected, close, `${part}, twice`);
        assertClose(before[part].grad!.data(), expected, close, `${part}, further back`);
      }
    },
  );

  tensorTest(`${name}: bf16 gradients go on in bf16`, () => {
    const { hidden, weight } = randomHead(1, "bf16");
    loss({ hidden: hidden.mul(1), weight: weight.mul(1) }, 16).backward();
    assert.equal(hidden.grad!.dtype, "f32");
    assert.equal(weight.grad!.dtype, "f32");
  });

  tensorTest(
    `${name}: a frozen weight gets no gradient, and none is computed without recording`,
    () => {
      const { hidden, weight } = randomHead();
      weight.requireGrad(false);
      loss({ hidden, weight }, 16).backward();
      assert.ok(hidden.grad);
      assert.equal(weight.grad, null);
      assert.equal(noGrad(() => loss(randomHead(), 16)).requiresGrad, false);
    },
  );

  tensorTest(`${name}: disposing the inputs does not break backward`, () => {
    const { hidden, weight } = randomHead();
    const middle = { hidden: hidden.mul(1), weight: weight.mul(1) };
    const value = loss(middle, 16);
    middle.hidden[Symbol.dispose]();
    middle.weight[Symbol.dispose]();
    value.backward();
    assert.ok(hidden.grad && weight.grad);
  });
}

/** Bytes in use at most while `loss` of a large head is computed and gone back from, and what its parts take. */
function memoryOf(
  [tokens, vocab, chunk]: readonly [number, number, number],
  loss: (head: Head, targets: Tensor) => Tensor,
): { peak: number; chunkBytes: number; weightBytes: number } {
  const dim = 4, targets = randomTargets(tokens, vocab);
  const hidden = randomTensor([tokens, dim], 1).requireGrad();
  const weight = randomTensor([vocab, dim], 2).requireGrad();
  const before = device().memory.inUse;
  device().resetPeak();
  loss({ hidden, weight }, targets).backward();
  const peak = device().memory.peak - before;
  return { peak, chunkBytes: chunk * vocab * 4, weightBytes: vocab * dim * 4 };
}

tensorTest(
  "a head of 1024 tokens and 32000 entries never holds more than a chunk of logits",
  () => {
    const chunk = 64;
    const { peak, chunkBytes, weightBytes } = memoryOf(
      [1024, 32_000, chunk],
      ({ hidden, weight }, targets) => linearCrossEntropy(hidden, weight, targets, { chunk }).loss,
    );
    // The gradient of the weight as computed, and as added to the leaf; a little for each token.
    assert.ok(peak < chunkBytes + 2 * weightBytes + 2 ** 18, `${peak} bytes, chunk ${chunkBytes}`);
  },
);

tensorTest("log-probabilities and divergences hold a chunk of logits, or two", () => {
  const chunk = 16, sizes = [256, 4000, chunk] as const;
  const logProbs = memoryOf(
    sizes,
    ({ hidden, weight }, targets) =>
      linearLogProbs(hidden, weight, targets, { chunk }).logProbs.sum(),
  );
  const kl = memoryOf(
    sizes,
    ({ hidden, weight }) => linearKl(hidden, weight, hidden, weight, { chunk }).loss,
  );
  const rest = 2 * kl.weightBytes + 2 ** 18;
  assert.ok(logProbs.peak < logProbs.chunkBytes + rest, `${logProbs.peak} bytes`);
  assert.ok(kl.peak < 2 * kl.chunkBytes + rest, `${kl.peak} bytes`);
});

tensorTest("micro-batches that share a normalizer add up to the whole batch", () => {
  const whole = randomHead(), parts = randomHead(), targets = randomTargets(tokens, vocab);
  const normalizer = targets.notEqual(-1).to("f32").sum().item();
  linearCrossEntropy(whole.hidden, whole.weight, targets).loss.backward();
  let sum = 0;
  for (const [start, end] of [[0, 10], [10, tokens]]) {
    const part = parts.hidden.slice(0, start, end), target = targets.slice(0, start, end);
    const { loss } = linearCrossEntropy(part, parts.weight, target, { normalizer });
    loss.backward();
    sum += loss.item();
  }
  const expected = linearCrossEntropy(whole.hidden, whole.weight, targets).loss.item();
  assertClose([sum], [expected], close, "loss");
  assertClose(parts.hidden.grad!.data(), whole.hidden.grad!.data(), close, "hidden");
  assertClose(parts.weight.grad!.data(), whole.weight.grad!.data(), close, "weight");
});

tensorTest("tokens of weight 0 add nothing, whatever their logits are", () => {
  const { hidden, weight } = randomHead(), targets = randomTargets(tokens, vocab);
  const mask = Tensor.from(Array.from({ length: tokens }, (_, i) => i < 20 ? 1 : 0));
  const masked = linearCrossEntropy(hidden, weight, targets, { tokenWeights: mask });
  masked.loss.backward();
  const few = linearCrossEntropy(hidden.slice(0, 0, 20), weight, targets.slice(0, 0, 20));
  assertClose(masked.loss.data(), few.loss.data(), close, "loss");
  assert.ok(hidden.grad!.slice(0, 20).data().every((g) => g === 0));
});

tensorTest("a batch in which no token counts has the loss 0 and no gradient", () => {
  const { hidden, weight } = randomHead();
  const targets = Tensor.full([tokens], -1, { dtype: "i32" });
  const { loss, nll } = linearCrossEntropy(hidden, weight, targets);
  loss.backward();
  assert.equal(loss.item(), 0);
  assert.ok([...nll.data(), ...weight.grad!.data()].every((x) => x === 0));
  assert.equal(crossEntropy(randomTensor([3, 4], 1), targets.slice(0, 0, 3)).item(), 0);
});

tensorTest("heads without tokens have the loss 0 and zero gradients", () => {
  const hidden = Tensor.zeros([0, dim]).requireGrad();
  const weight = randomTensor([vocab, dim], 1).requireGrad();
  const none = Tensor.zeros([0], { dtype: "i32" });
  linearCrossEntropy(hidden, weight, none).loss.backward();
  linearLogProbs(hidden, weight, none).logProbs.sum().backward();
  assert.ok(weight.grad!.data().every((x) => x === 0));
});

tensorTest("a token's log-probability has the same bits in any batch and chunk", () => {
  const { hidden, weight } = randomHead(), targets = randomTargets(tokens, vocab);
  const { logProbs } = linearLogProbs(hidden, weight, targets);
  const alone = [...Array(tokens).keys()].map((i) =>
    linearLogProbs(hidden.slice(0, i, i + 1), weight, targets.slice(0, i, i + 1)).logProbs.item()
  );
  const { nll } = linearCrossEntropy(hidden, weight, targets, { chunk: 5 });
  assert.deepEqual([...logProbs.data()], alone);
  assert.deepEqual([...nll.neg().data()], alone);
});

tensorTest("a model does not diverge from itself", () => {
  const { hidden, weight } = randomHead();
  for (const direction of ["forward", "reverse", "jsd"] as const) {
    const { divergences } = linearKl(hidden, weight, hidden, weight, { direction });
    assert.ok(divergences.data().every((x) => Math.abs(x) < 1e-6));
  }
});

tensorTest("entries that neither model allows do not disturb a divergence", () => {
  const student = Tensor.from([[0.5, 1, -Infinity]]).requireGrad();
  const teacher = Tensor.from([[1, 0, -Infinity]]);
  for (const direction of ["forward", "reverse", "jsd"] as const) {
    const expected = klDiv(Tensor.from([[0.5, 1]]), Tensor.from([[1, 0]]), { direction });
    const loss = klDiv(student, teacher, { direction });
    loss.backward();
    assertClose(loss.data(), expected.data(), close, direction);
  }
  const gradient = student.grad!.data();
  assert.ok(gradient.every(Number.isFinite));
  assert.equal(gradient[2], 0);
});

tensorTest("linearTopKKl adds its weight gradient up, repeated indices included", () => {
  const { hidden, weight } = randomHead();
  const indices = Tensor.from(Array(tokens).fill([3, 3, 149]), undefined, { dtype: "i32" });
  const teacher = randomTensor([tokens, 3], 9);
  const grads = [1, 2].map(() => {
    linearTopKKl(hidden, weight, indices, teacher).loss.backward();
    return weight.grad!.clone();
  });
  assertClose(grads[1].data(), grads[0].mul(2).data(), close, "twice");
  const all = hidden.detach().matmul(weight.detach().t()).requireGrad();
  const chosen = [3, 3, 149].map((i) => all.slice(1, i, i + 1));
  klDiv(Tensor.concat(chosen, 1), teacher).backward();
  const expected = all.grad!.t().matmul(hidden.detach());
  assertClose(grads[0].data(), expected.data(), close, "through all logits");
});

tensorTest("cosineLoss of bf16 rows is f32, and a row of zeros is at distance 1", () => {
  const x = Tensor.from([[0, 0], [1, 1]], undefined, { dtype: "bf16" }).requireGrad();
  const loss = cosineLoss(x, Tensor.from([[1, 0], [1, 1]], undefined, { dtype: "bf16" }));
  loss.backward();
  assert.equal(loss.dtype, "f32");
  assertClose(loss.data(), [0.5], close, "loss");
  assert.ok(x.grad!.data().every(Number.isFinite));
});

tensorTest("normalizedMse is 1 where the output is nothing, 0 where it is the target", () => {
  const target = randomTensor([5, 7], 1);
  for (const over of ["batch", "row"] as const) {
    assertClose(normalizedMse(target.mul(0), target, { over }).data(), [1], close, over);
    assert.equal(normalizedMse(target, target, { over }).item(), 0);
  }
});

tensorTest("targets and indices outside the vocabulary are refused by name", () => {
  const { hidden, weight } = randomHead();
  const targets = Tensor.from(Array(tokens).fill(vocab), [tokens], { dtype: "i32" });
  const message = /the target of token 0 is 150, the vocabulary has 150 entries/;
  for (
    const run of [
      () => linearCrossEntropy(hidden, weight, targets),
      () => linearLogProbs(hidden, weight, targets),
      () => crossEntropy(hidden.matmul(weight.t()), targets),
    ]
  ) assert.throws(run, { name: "IndexError", message });
  const indices = Tensor.from(Array(tokens).fill([0, -1]), undefined, { dtype: "i32" });
  const run = () => linearTopKKl(hidden, weight, indices, Tensor.zeros([tokens, 2]));
  assert.throws(run, IndexError);
});

tensorTest("inputs that do not fit are refused", () => {
  const { hidden, weight } = randomHead(), targets = randomTargets(tokens, vocab);
  const refused = (run: () => unknown, message: RegExp): void => assert.throws(run, { message });
  refused(
    () => linearCrossEntropy(hidden, weight.t(), targets),
    /\[37, 24\] and weight \[24, 150\]/,
  );
  refused(() => linearCrossEntropy(hidden, weight, targets.slice(0, 1)), /\[36\] for 37 tokens/);
  refused(() => linearCrossEntropy(hidden, weight.to("bf16"), targets), /f32 .* bf16/);
  refused(() => linearCrossEntropy(hidden, weight, targets, { chunk: 0 }), /chunk .* \(0\)/);
  refused(() => linearCrossEntropy(hidden, weight, targets, { normalizer: 0 }), /more than 0/);
  refused(
    () => linearCrossEntropy(hidden, weight, targets, { tokenWeights: Tensor.ones([3]) }),
    /tokenWeights .* \[3\]. Pass \[37\]/,
  );
  refused(
    () => linearKl(hidden, weight, hidden.slice(0, 1), weight),
    /\[37, 150\] and \[36, 150\]/,
  );
  refused(() => klDiv(hidden, hidden, { direction: "jsd", beta: 1 }), /beta .* \(1\)/);
  refused(() => klDiv(hidden, hidden, { temperature: 0 }), /temperature .* \(0\)/);
  assert.throws(() => klDiv(hidden, weight), ShapeError);
});
