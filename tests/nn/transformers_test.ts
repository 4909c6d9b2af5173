/**
 * Models of Hugging Face's transformers, written by `tests/golden/transformers_models.py` with the logits and gradients it
 * computes.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { Decoder, toFloat32, toHuggingFaceName } from "../../nn/mod.ts";
import { SafetensorsFile, type Shape, Tensor } from "../../tensor/mod.ts";
import { assertClose, tensorTest } from "../support.ts";

const folderOf = (name: string): string =>
  fileURLToPath(new URL(`../golden/transformers/${name}`, import.meta.url));

/** ids [batch, time], and what transformers computed from them. */
class Golden implements Disposable {
  readonly #file: SafetensorsFile;

  constructor(folder: string) {
    this.#file = SafetensorsFile.open(`${folder}/golden.safetensors`);
  }

  numbers(name: string): Float32Array {
    return toFloat32("f32", this.#file.read(name));
  }

  ids(): Tensor {
    const shape: Shape = this.#file.entries.get("ids")!.shape;
    return Tensor.fromBytes(this.#file.read("ids"), shape, { dtype: "i32" });
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

for (const name of ["llama", "nemotron"]) {
  tensorTest(`a ${name} of transformers has its logits`, () => {
    using golden = new Golden(folderOf(name));
    using decoder = Decoder.load(folderOf(name), { train: false });
    const logits = decoder.logits(golden.ids()).data();
    assertClose(logits, golden.numbers("logits"), { absolute: 5e-6, relative: 0 }, name);
  });

  tensorTest(`a ${name} of transformers has its loss and gradients`, () => {
    using golden = new Golden(folderOf(name));
    using decoder = Decoder.load(folderOf(name));
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
