/**
 * Low-rank adapters, against PEFT's and against themselves.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  addLora,
  CheckpointError,
  Decoder,
  decoderCrossEntropy,
  fromHuggingFaceName,
  loadLora,
  type Lora,
  saveLora,
  setDropoutStep,
} from "../../nn/mod.ts";
import { adamw, scope, Tensor } from "../../tensor/mod.ts";
import { assertClose, randomTensor, tensorTest } from "../support.ts";
import { Golden, goldenFolder } from "./golden.ts";
import { deci, llama, withFolder } from "./specs.ts";

const ids = (): Tensor => Tensor.arange(20, { dtype: "i32" }).reshape([2, 10]);
const logitsOf = (decoder: Decoder): number[] => scope(() => [...decoder.logits(ids()).data()]);

function randomise({ arena }: Lora): void {
  arena.master.assign(randomTensor([arena.master.size], 5).mul(0.3));
  arena.refresh();
}

tensorTest("an adapter of PEFT gives the logits of PEFT, merged or not", () => {
  using golden = new Golden("peft");
  using decoder = Decoder.load(goldenFolder("transformers/llama"), { train: false }).eval();
  const lora = loadLora(decoder, goldenFolder("peft")), close = { absolute: 5e-6, relative: 0 };
  assert.deepEqual(lora.shape, { rank: 4, alpha: 6, dropout: 0.1, rankStabilized: false });
  const separate = decoder.logits(golden.ids()).data();
  assertClose(separate, golden.numbers("logits"), close, "separate");
  assert.equal(lora.merge(), 0);
  assertClose(decoder.logits(golden.ids()).data(), golden.numbers("logits"), close, "merged");
  const weights = decoder.weights();
  for (const name of golden.names.filter((name) => name.startsWith("merged."))) {
    const weight = weights.get(fromHuggingFaceName(name.slice("merged.".length))!)!;
    assertClose(weight.data(), golden.numbers(name), { absolute: 1e-6, relative: 0 }, name);
  }
  lora.unmerge();
  assert.deepEqual(decoder.logits(golden.ids()).data(), separate);
});

for (const dtype of ["f32", "bf16"] as const) {
  for (const train of [false, true]) {
    const name = `${dtype}${train ? " with masters" : ""}`;
    tensorTest(`in ${name}, adapters change nothing at first, and unmerging is exact`, () => {
      using decoder = new Decoder(llama, { dtype, train });
      const before = logitsOf(decoder), weights = decoder.state();
      const bytes = new Map(weights.entries().map(([name, { read }]) => [name, read()]));
      const lora = addLora(decoder, { rank: 2, targets: /attention/ });
      assert.deepEqual(logitsOf(decoder), before);
      randomise(lora);
      const adapted = logitsOf(decoder);
      assert.notDeepEqual(adapted, before);
      const difference = lora.merge();
      assert.ok(dtype === "f32" || train ? difference === 0 : difference > 0 && difference < 0.01);
      assertClose(
        logitsOf(decoder),
        adapted,
        { absolute: dtype === "f32" ? 1e-5 : 0.02, relative: 0 },
        "merged",
      );
      lora.unmerge();
      assert.deepEqual(logitsOf(decoder), adapted);
      for (const [name, { read }] of weights) assert.deepEqual(read(), bytes.get(name), name);
    });
  }
}

tensorTest("training moves the factors and nothing else", () => {
  using decoder = new Decoder(llama, { train: false });
  const lora = addLora(decoder, { rank: 2, alpha: 4, dropout: 0.2 }), { arena } = lora;
  const before = new Map(decoder.weights().entries().map(([name, w]) => [name, [...w.data()]]));
  const m = Tensor.zeros([arena.master.size]), v = Tensor.zeros([arena.master.size]);
  const losses = [1, 2, 3, 4, 5, 6].map((step) => {
    setDropoutStep(decoder, step);
    arena.zeroGrad();
    const { loss } = decoderCrossEntropy(decoder, ids(), ids());
    loss.backward();
    adamw({ ...arena, m, v }, { lr: 0.02, step });
    return loss.item();
  });
  assert.ok(losses[5] < losses[0] - 0.01, `${losses}`);
  for (const [name, weight] of decoder.weights()) {
    const same = before.get(name)!.every((x, i) => x === weight.data()[i]);
    assert.equal(same, !/adapter/.test(name), name);
  }
});

tensorTest("dropout draws again for another step only, and not at all in evaluation", () => {
  using decoder = new Decoder(llama, { train: false });
  randomise(addLora(decoder, { rank: 2, dropout: 0.5 }));
  const first = logitsOf(decoder);
  assert.deepEqual(logitsOf(decoder), first);
  setDropoutStep(decoder, 1);
  assert.notDeepEqual(logitsOf(decoder), first);
  const evaluated = logitsOf(decoder.eval());
  setDropoutStep(decoder, 2);
  assert.deepEqual(logitsOf(decoder), evaluated);
});

Deno.test("saved adapters come back, and name their layers as PEFT does", () =>
  withFolder((folder) =>
    scope(() => {
      using decoder = new Decoder(deci, { train: false }),
        other = new Decoder(deci, { train: false });
      const lora = addLora(decoder, { rank: 3, alpha: 5, targets: /\.(q|down)$/ });
      randomise(lora);
      saveLora(lora, folder);
      const config = JSON.parse(Deno.readTextFileSync(`${folder}/adapter_config.json`));
      assert.deepEqual(config.target_modules, ["q_proj", "down_proj"]);
      loadLora(other, folder);
      assert.deepEqual(logitsOf(other), logitsOf(decoder));
      assert.throws(() => loadLora(other, folder), TypeError);
      using narrow = new Decoder({ ...deci, blocks: deci.blocks.slice(1) }, { train: false });
      assert.throws(() => loadLora(narrow, folder), CheckpointError);
      assert.equal(narrow.modules().values().some((part) => "rank" in part), false);
    })
  ));

Deno.test("a decoder with adapters is saved once they are merged", () =>
  withFolder((folder) =>
    scope(() => {
      using decoder = new Decoder(llama, { train: false });
      const lora = addLora(decoder, { rank: 2 });
      randomise(lora);
      assert.throws(() => decoder.save(`${folder}/model`), CheckpointError);
      lora.merge();
      decoder.save(`${folder}/model`);
      using merged = Decoder.load(`${folder}/model`, { train: false });
      assert.deepEqual(logitsOf(merged), logitsOf(decoder));
    })
  ));

tensorTest("adapters of layers that do not exist are refused", () => {
  using decoder = new Decoder(llama);
  assert.throws(() => addLora(decoder, { rank: 2, targets: /head/ }), {
    name: "TypeError",
    message:
      "lora: no linear layer matches /head/ (0 of 14). Their names are blocks.0.attention.q, " +
      "blocks.0.attention.k, blocks.0.attention.v, blocks.0.attention.o, blocks.0.ffn.gate, blocks.0.ffn.up, " +
      "blocks.0.ffn.down, …",
  });
  assert.ok(decoder.headWeight.requiresGrad, "nothing was frozen");
});
