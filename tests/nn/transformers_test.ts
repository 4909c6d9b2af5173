/**
 * Models of Hugging Face's transformers, written by `tests/golden/transformers_models.py` with the logits and gradients it
 * computes.
 *
 * @module
 */
import { Decoder, toHuggingFaceName } from "../../nn/mod.ts";
import { assertClose, tensorTest } from "../support.ts";
import { Golden, goldenFolder } from "./golden.ts";

for (const name of ["llama", "nemotron"]) {
  tensorTest(`a ${name} of transformers has its logits`, () => {
    using golden = new Golden(`transformers/${name}`);
    using decoder = Decoder.load(goldenFolder(`transformers/${name}`), { train: false });
    const logits = decoder.logits(golden.ids()).data();
    assertClose(logits, golden.numbers("logits"), { absolute: 5e-6, relative: 0 }, name);
  });

  tensorTest(`a ${name} of transformers has its loss and gradients`, () => {
    using golden = new Golden(`transformers/${name}`);
    using decoder = Decoder.load(goldenFolder(`transformers/${name}`));
    const ids = golden.ids(), time = ids.shape[1];
    const logP = decoder.logits(ids).slice(1, 0, time - 1).logSoftmax(-1);
    const loss = logP.gather(2, ids.slice(1, 1).unsqueeze(2)).mean().neg();
    assertClose([loss.item()], golden.numbers("loss"), { absolute: 1e-6, relative: 0 }, "loss");
    loss.backward();
    for (const [ours, leaf] of decoder.namedParameters()) {
      const expected = golden.numbers(`gradient.${toHuggingFaceName(ours)}`);
      assertClose(leaf.grad!.data(), expected, { absolute: 5e-6, relative: 1e-5 }, ours);
    }
  });
}
