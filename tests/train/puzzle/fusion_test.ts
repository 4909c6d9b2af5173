import assert from "node:assert/strict";
import {
  type BlockSpec,
  Decoder,
  type DecoderSpec,
  openCheckpoint,
  packed,
} from "../../../nn/mod.ts";
import { noGrad, scope, Tensor } from "../../../tensor/mod.ts";
import { parentActivations } from "../../../train/puzzle/activations.ts";
import { dependencies } from "../../../train/puzzle/dependency.ts";
import { fuse, fusionGroups } from "../../../train/puzzle/fusion.ts";
import { nemotron, withFolder } from "../../nn/specs.ts";
import { assertClose, randomTensor, tensorTest } from "../../support.ts";
import { parentSpec, strongDecoder, textBatch } from "./support.ts";

const attention = { kind: "gqa", heads: 4, kvHeads: 2 } as const;
const gated = (hidden: number) => ({ kind: "gated", hidden, activation: "silu" }) as const;
const relu2 = (hidden: number) => ({ kind: "relu2", hidden }) as const;
const close = { absolute: 2e-5, relative: 1e-4 };

/** Attention, then four feed-forward parts with an empty block among them, then attention. */
function runSpec(base: DecoderSpec, ffn: (hidden: number) => BlockSpec["ffn"]): DecoderSpec {
  return {
    ...base,
    vocab: 40,
    context: 32,
    blocks: [
      { attention, ffn: ffn(48) },
      { attention: null, ffn: ffn(20) },
      { attention: null, ffn: null },
      { attention: null, ffn: ffn(33) },
      { attention: null, ffn: ffn(48) },
      { attention, ffn: ffn(48) },
    ],
  };
}

/** Norms that differ from each other, shifts among them. */
function varyNorms(decoder: Decoder): void {
  [...decoder.namedParameters()].forEach(([name, weight], i) => {
    if (name.includes("norm")) weight.assign(weight.add(randomTensor(weight.shape, i).mul(0.5)));
  });
}

for (
  const [name, spec] of [
    ["gated, RMSNorm", runSpec(parentSpec, gated)],
    ["squared ReLU, LayerNorm1P", runSpec(nemotron, relu2)],
  ] as const
) {
  tensorTest(`fused parts are the sum of parts that read the same stream: ${name}`, () => {
    using decoder = strongDecoder(spec);
    varyNorms(decoder);
    const batch = textBatch(1);
    for (const widthMultiple of [1, 64]) {
      const groups = fusionGroups(spec, { keepLast: false, withFirst: true });
      assert.deepEqual(groups, [[0, 1, 3, 4]]);
      const fused = fuse({ spec, entries: decoder.state() }, groups, { widthMultiple });
      assert.deepEqual(fused.depths, [0, 5, 6]);
      using child = new Decoder(fused.spec, { from: fused.entries, train: false });
      noGrad(() =>
        scope(() => {
          const { inputs, middles, place } = parentActivations(decoder, batch);
          const x = middles[0];
          const sum = groups[0].reduce(
            (total, i) => total.add(decoder.blocks[i].ffn!.forward(x)),
            x,
          );
          const given = child.blocks[0].forward(inputs[0], place);
          assertClose(given.data(), sum.data(), close, "stream after the fused block");
        })
      );
    }
  });
}

tensorTest("a norm that is 0 somewhere fuses too", () => {
  const spec = runSpec(parentSpec, gated);
  using decoder = strongDecoder(spec);
  varyNorms(decoder);
  decoder.namedParameters().get("blocks.1.ffn.norm.weight")!.slice(0, 3, 4).fill(0);
  const fused = fuse({ spec, entries: decoder.state() }, [[1, 3]]);
  using child = new Decoder(fused.spec, { from: fused.entries, train: false });
  noGrad(() =>
    scope(() => {
      const x = randomTensor([5, 32], 9);
      const sum = x.add(decoder.blocks[1].ffn!.forward(x)).add(decoder.blocks[3].ffn!.forward(x));
      const given = child.blocks[1].forward(x, packed([5]));
      assertClose(given.data(), sum.data(), close, "stream after the fused block");
    })
  );
});

Deno.test("the last feed-forward part of a run stays alone, and runs are cut at limits", () => {
  const spec = runSpec(parentSpec, gated);
  assert.deepEqual(fusionGroups(spec), [[1, 3]]);
  assert.deepEqual(fusionGroups(spec, { keepLast: false }), [[1, 3, 4]]);
  assert.deepEqual(fusionGroups(spec, { withFirst: true, maxHidden: 70 }), [[0, 1]]);
  assert.deepEqual(fusionGroups(spec, { keepLast: false, maxHidden: 60 }), [[1, 3]]);
  const strong = (i: number, j: number): number => i === 1 && j === 3 ? 0.5 : 0;
  assert.deepEqual(fusionGroups(spec, { keepLast: false, maxDependency: 0.1 }, strong), [[3, 4]]);
  assert.deepEqual(fusionGroups(parentSpec), []);
});

Deno.test("a fused model is a Hugging Face folder like any other", async () => {
  await withFolder((folder) => {
    const spec = runSpec(parentSpec, gated);
    using decoder = strongDecoder(spec);
    const fused = fuse({ spec, entries: decoder.state() }, fusionGroups(spec), {
      widthMultiple: 256,
    });
    using child = new Decoder(fused.spec, { from: fused.entries, train: false });
    child.save(`${folder}/fused`);
    using opened = openCheckpoint(`${folder}/fused`);
    assert.deepEqual(opened.spec, fused.spec);
    const config = JSON.parse(Deno.readTextFileSync(`${folder}/fused/config.json`));
    assert.equal(config.architectures[0], "DeciLMForCausalLM");
    assert.equal(config.block_configs[1].ffn.ffn_mult, 12); // 256 = 2 · 12 · 32 / 3
  });
});

tensorTest("parts that read each other's output depend on each other, others do not", () => {
  const spec = runSpec(parentSpec, gated);
  using decoder = strongDecoder(spec);
  const weights = decoder.namedParameters();
  const run = [1, 3, 4];
  const before = dependencies(decoder, run, [textBatch(1), textBatch(2)]);
  assert.ok(before[0][1] > 0 && before[1][2] > 0 && before[2][1] === 0 && before[1][1] === 0);
  weights.get("blocks.1.ffn.down.weight")!.fill(0); // adds nothing, so nothing depends on it
  const after = dependencies(decoder, run, [textBatch(1), textBatch(2)]);
  assert.ok(after[0][1] < 1e-6 && after[0][2] < 1e-6);
});

tensorTest("fusing changes a model no more than running the parts side by side does", () => {
  const spec = runSpec(parentSpec, gated);
  using decoder = strongDecoder(spec);
  for (const layer of [1, 3]) {
    const down = decoder.namedParameters().get(`blocks.${layer}.ffn.down.weight`)!;
    down.assign(down.mul(1e-4)); // parts that add hardly anything do not depend on each other
  }
  const fused = fuse({ spec, entries: decoder.state() }, fusionGroups(spec));
  using child = new Decoder(fused.spec, { from: fused.entries, train: false });
  noGrad(() => {
    const ids = Tensor.from([[1, 2, 3, 4, 5]], [1, 5], { dtype: "i32" });
    assertClose(child.logits(ids).data(), decoder.logits(ids).data(), {
      absolute: 1e-5,
      relative: 1e-3,
    }, "logits");
  });
});
