/**
 * Trains a small decoder for 20 steps on the default device and prints the losses as JSON; `training_test.ts` compares
 * those of two devices.
 *
 * @module
 */
import { Decoder, decoderCrossEntropy, type DecoderSpec } from "../../nn/mod.ts";
import { adamw, clipByGlobalNorm, scope, Tensor } from "../../tensor/mod.ts";

const spec: DecoderSpec = {
  vocab: 96,
  dim: 64,
  context: 48,
  headDim: 16,
  norm: { kind: "rms_norm", eps: 1e-5 },
  rope: { theta: 10_000, fraction: 1, scaling: null },
  tied: true,
  blocks: [0, 1].map(() => ({
    attention: { kind: "gqa", heads: 4, kvHeads: 2 },
    ffn: { kind: "gated", hidden: 96, activation: "silu" },
  })),
};

const dtype = Deno.args[0] === "bf16" ? "bf16" : "f32";
using decoder = new Decoder(spec, { dtype });
const arena = decoder.arena!;
using m = Tensor.zeros([arena.master.size]).keep();
using v = Tensor.zeros([arena.master.size]).keep();
const losses: number[] = [];
for (let step = 1; step <= 20; step++) {
  arena.zeroGrad();
  losses.push(scope(() => {
    const text = Int32Array.from({ length: 2 * 41 }, (_, i) => (i * i + 3 * i) % spec.vocab);
    const ids = Tensor.from(text, [2, 41], { dtype: "i32" });
    const { loss } = decoderCrossEntropy(
      decoder,
      ids.slice(1, 0, 40),
      ids.slice(1, 1).contiguous(),
    );
    loss.backward();
    return loss.item();
  }));
  const gradScale = clipByGlobalNorm(arena.gradient, 1);
  const copy = dtype === "bf16" ? { copy: arena.compute } : {};
  const { master, gradient, decayCount } = arena;
  adamw({ master, gradient, m, v, ...copy }, { lr: 3e-3, step, decayCount, gradScale });
}
console.log(JSON.stringify(losses));
