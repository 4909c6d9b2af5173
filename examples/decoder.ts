/** A decoder is data: blocks may differ, or lack a part; what it costs is known before it exists. */
import {
  Decoder,
  type DecoderSpec,
  formatSummary,
  noGrad,
  scope,
  summarize,
  Tensor,
} from "@denotron/denotron";
import assert from "node:assert/strict";

const attention = { kind: "gqa", heads: 4, kvHeads: 2 } as const;
const gated = (hidden: number) => ({ kind: "gated", hidden, activation: "silu" }) as const;
const spec: DecoderSpec = {
  ...{ vocab: 1000, dim: 64, context: 128, headDim: 16, tied: true },
  norm: { kind: "rms_norm", eps: 1e-5 },
  rope: { theta: 10_000, fraction: 1, scaling: null },
  blocks: [
    { attention, ffn: gated(192) },
    { attention: { ...attention, kvHeads: 1 }, ffn: { kind: "relu2", hidden: 256 } },
    { attention: null, ffn: gated(96) }, // no attention, no KV cache
    { attention: { kind: "linear" }, ffn: null }, // one matrix
  ],
};
const summary = summarize(spec);
console.log(formatSummary(summary));

using model = new Decoder(spec, { train: false });
const count = [...model.namedParameters().values()].reduce((sum, { size }) => sum + size, 0);
assert.equal(count, summary.parameters.total);

const shape = noGrad(() =>
  scope(() => {
    const ids = Tensor.from([1, 2, 3, 4, 5], [5], { dtype: "i32" });
    return model.logits(ids).shape; // [tokens, vocab]
  })
);
console.log(`logits: [${shape}]`);
assert.deepEqual(shape, [5, 1000]);
