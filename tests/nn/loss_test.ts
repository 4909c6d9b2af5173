import assert from "node:assert/strict";
import { Decoder, decoderCrossEntropy, decoderDivergence, decoderLogProbs } from "../../nn/mod.ts";
import { crossEntropy, klDiv, Tensor } from "../../tensor/mod.ts";
import { assertClose, tensorTest } from "../support.ts";
import { llama, nemotron } from "./specs.ts";

const close = { absolute: 1e-6, relative: 1e-5 };
const integers = (values: number[], shape: number[]): Tensor =>
  Tensor.from(values, shape, { dtype: "i32" });
const ids = (): Tensor => integers([1, 2, 3, 4, 5, 6], [2, 3]);
const targets = (): Tensor => integers([2, 3, -1, 5, 6, 7], [2, 3]);

for (const spec of [llama, { ...llama, tied: true }]) {
  tensorTest(
    `the cross-entropy of a ${spec.tied ? "tied" : "plain"} decoder is that of its logits`,
    () => {
      using fused = new Decoder(spec), plain = new Decoder(spec);
      const { loss, nll } = decoderCrossEntropy(fused, ids(), targets());
      const expected = crossEntropy(plain.logits(ids()).reshape([6, -1]), targets().reshape([-1]));
      assertClose([loss.item()], [expected.item()], close, "loss");
      assert.equal(nll.data()[2], 0);
      loss.backward();
      expected.backward();
      for (const [name, leaf] of plain.namedParameters()) {
        const gradient = fused.namedParameters().get(name)!.grad!.data();
        assertClose(gradient, leaf.grad!.data(), close, name);
      }
    },
  );
}

tensorTest("packed sequences have the log-probabilities that each has alone", () => {
  using decoder = new Decoder(nemotron, { train: false });
  const all = integers([1, 2, 3, 4, 5], [5]), next = integers([2, 3, 9, 5, 6], [5]);
  const { logProbs } = decoderLogProbs(decoder, all, next, { lengths: [3, 2] });
  const apart = [[0, 3], [3, 5]].flatMap(([from, to]) => {
    const part = (x: Tensor): Tensor => x.slice(0, from, to).reshape([1, to - from]);
    return [...decoderLogProbs(decoder, part(all), part(next)).logProbs.data()];
  });
  assert.deepEqual([...logProbs.data()], apart);
});

tensorTest(
  "the divergence from a wider teacher is that of the logits, and flows to the student",
  () => {
    using student = new Decoder(llama),
      teacher = new Decoder({ ...llama, dim: 40 }, { train: false });
    const [own, other] = [student.hidden(ids()), teacher.hidden(ids())];
    const { loss } = decoderDivergence(student, own, teacher, other);
    const rows = (x: Tensor): Tensor => x.reshape([6, -1]);
    const expected = klDiv(rows(student.project(own)), rows(teacher.project(other)));
    assertClose([loss.item()], [expected.item()], close, "divergence");
    loss.backward();
    assert.ok(student.head!.weight.grad!.data().some((g) => g !== 0));
  },
);
