/**
 * Writes tiny random models as Hugging Face folders, and a random adapter, with their logits, for transformers and PEFT to
 * load:
 *
 *     deno run -A tests/golden/write_models.ts FOLDER
 *     python tests/golden/transformers_models.py check FOLDER/llama FOLDER/nemotron FOLDER/tied
 *     python tests/golden/peft_adapter.py check FOLDER/adapter
 *
 * @module
 */
import {
  addLora,
  Decoder,
  type DecoderSpec,
  type Module,
  normal,
  saveLora,
} from "../../nn/mod.ts";
import { scope, Tensor, writeSafetensors } from "../../tensor/mod.ts";
import { goldenFolder } from "../nn/golden.ts";
import { llama, nemotron } from "../nn/specs.ts";

const [folder] = Deno.args;
const models: Record<string, DecoderSpec> = {
  llama,
  nemotron,
  tied: {
    ...llama,
    tied: true,
    rope: {
      theta: 100,
      fraction: 1,
      scaling: {
        kind: "llama3",
        factor: 8,
        lowFrequency: 1,
        highFrequency: 4,
        originalContext: 32,
      },
    },
  },
};

for (const [name, spec] of Object.entries(models)) {
  using decoder = new Decoder(spec, { train: false });
  randomise(decoder);
  decoder.save(`${folder}/${name}`);
  writeLogits(decoder, `${folder}/${name}.logits.safetensors`);
}

using decoder = Decoder.load(goldenFolder("transformers/llama"), {
  train: false,
});
const lora = addLora(decoder, {
  rank: 3,
  alpha: 2,
  targets: /1\.(attention\.o|ffn)/,
});
for (const { adapter } of lora.layers.values()) randomise(adapter!);
saveLora(lora, `${folder}/adapter`);
writeLogits(decoder, `${folder}/adapter/logits.safetensors`);

function randomise(module: Module): void {
  for (const [name, weight] of module.weights()) normal(0.2)(weight, name);
}

function writeLogits(decoder: Decoder, path: string): void {
  scope(() => {
    const values = Int32Array.from(
      { length: 80 },
      (_, i) => 7 * i % decoder.spec.vocab,
    );
    const ids = Tensor.from(values, [2, 40], { dtype: "i32" }),
      logits = decoder.logits(ids);
    const input = (name: string, dtype: "I32" | "F32", tensor: Tensor) => ({
      name,
      dtype,
      shape: tensor.shape,
      chunks: () => {
        const bytes = new Uint8Array(4 * tensor.size);
        tensor.readBytes(bytes);
        return [bytes];
      },
    });
    writeSafetensors(path, [
      input("ids", "I32", ids),
      input("logits", "F32", logits),
    ]);
  });
}
