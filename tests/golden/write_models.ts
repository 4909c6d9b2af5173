/**
 * Writes tiny random models as Hugging Face folders, and their logits beside them, for transformers to load:
 *
 *     deno run -A tests/golden/write_models.ts FOLDER
 *     python tests/golden/transformers_models.py check FOLDER/llama FOLDER/nemotron FOLDER/tied
 *
 * @module
 */
import { Decoder, type DecoderSpec, normal } from "../../nn/mod.ts";
import { scope, Tensor, writeSafetensors } from "../../tensor/mod.ts";
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
  for (const [parameter, weight] of decoder.weights()) normal(0.2)(weight, parameter);
  decoder.save(`${folder}/${name}`);
  scope(() => {
    const ids = Tensor.arange(80, { dtype: "i32" }).reshape([2, 40]), logits = decoder.logits(ids);
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
    writeSafetensors(`${folder}/${name}.logits.safetensors`, [
      input("ids", "I32", ids),
      input("logits", "F32", logits),
    ]);
  });
}
