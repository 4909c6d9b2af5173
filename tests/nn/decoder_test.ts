/**
 * Decoders of every kind against an implementation from the formulas, and what training one relies on.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  CheckpointError,
  Decoder,
  type DecoderSpec,
  normal,
  parameters,
  SpecError,
} from "../../nn/mod.ts";
import { device, scope, Tensor } from "../../tensor/mod.ts";
import { assertClose, tensorTest, uniforms } from "../support.ts";
import { type Numbers, referenceLogits, referenceLoss } from "./reference_decoder.ts";
import { deci, llama, nemotron } from "./specs.ts";

const close = { absolute: 2e-5, relative: 2e-5 };

const scaled: DecoderSpec = {
  ...deci,
  tied: true,
  // Frequencies below, inside and above the band that is blended.
  rope: {
    theta: 100,
    fraction: 1,
    scaling: {
      kind: "llama3",
      factor: 8,
      lowFrequency: 1,
      highFrequency: 4,
      originalContext: 64,
    },
  },
};
/** KV heads 1, 2 and 4, and a feed-forward part as wide as several fused ones. */
const heterogeneous: DecoderSpec = {
  ...llama,
  blocks: [
    {
      attention: { kind: "gqa", heads: 4, kvHeads: 1 },
      ffn: { kind: "gated", hidden: 48, activation: "silu" },
    },
    { attention: { kind: "gqa", heads: 4, kvHeads: 4, window: 3 }, ffn: null },
    { attention: null, ffn: { kind: "gated", hidden: 300, activation: "silu" } },
    { attention: { kind: "linear" }, ffn: { kind: "relu2", hidden: 40 } },
    { attention: null, ffn: null },
    { attention: { kind: "gqa", heads: 4, kvHeads: 2 }, ffn: { kind: "linear" } },
  ],
};
const biased: DecoderSpec = {
  ...nemotron,
  tied: true,
  blocks: [
    {
      attention: { kind: "gqa", heads: 4, kvHeads: 2, bias: true },
      ffn: { kind: "relu2", hidden: 24, bias: true },
    },
    { attention: null, ffn: { kind: "gated", hidden: 24, activation: "silu", bias: true } },
  ],
};
const families = { llama, nemotron, deci, scaled, heterogeneous, biased };

const integers = (ids: readonly number[]): Tensor =>
  Tensor.from(ids, [ids.length], { dtype: "i32" });
const draw = (length: number, seed: number): number[] => {
  const next = uniforms(seed);
  return Array.from({ length }, () => Math.floor(next() * llama.vocab));
};
const sequences = [draw(12, 1), draw(5, 2), draw(9, 3)];

/** A decoder all of whose weights, norms and biases too, are random and large enough to matter. */
function randomDecoder(
  spec: DecoderSpec,
  options: ConstructorParameters<typeof Decoder>[1] = {},
): Decoder {
  const decoder = new Decoder(spec, options);
  for (const [name, weight] of decoder.weights()) normal(0.25, 3)(weight, name);
  decoder.arena?.refresh();
  return decoder;
}

const numbersOf = (decoder: Decoder): Numbers =>
  new Map(
    decoder.weights().entries().map(([name, weight]) => [name, Float64Array.from(weight.data())]),
  );

/** Mean negative log-likelihood of each next token of packed sequences. */
function lossOf(decoder: Decoder, packed: readonly number[][]): Tensor {
  const lengths = packed.map((ids) => ids.length - 1);
  const ids = integers(packed.flatMap((ids) => ids.slice(0, -1)));
  const targets = integers(packed.flatMap((ids) => ids.slice(1))).unsqueeze(1);
  return decoder.logits(ids, { lengths }).logSoftmax(-1).gather(1, targets).mean().neg();
}

function gradientsOf(decoder: Decoder): Map<string, Float32Array> {
  return new Map(
    decoder.namedParameters().entries().map((
      [name, leaf],
    ) => [name, leaf.grad!.data() as Float32Array]),
  );
}

for (const [name, spec] of Object.entries(families)) {
  tensorTest(`${name} computes the logits of the formulas`, () => {
    using decoder = randomDecoder(spec, { train: false });
    const weights = numbersOf(decoder);
    for (const ids of sequences) {
      const logits = decoder.logits(integers(ids).reshape([1, -1])).data();
      assertClose(logits, referenceLogits(spec, weights, ids).flat(), close, name);
    }
  });

  tensorTest(`${name} has the loss and gradients of the formulas, by finite differences`, () => {
    using decoder = randomDecoder(spec);
    const weights = numbersOf(decoder), loss = lossOf(decoder, sequences);
    assertClose([loss.item()], [referenceLoss(spec, weights, sequences)], close, "loss");
    loss.backward();
    // Along a random direction of one parameter at a time.
    for (const [parameter, gradient] of gradientsOf(decoder)) {
      const next = uniforms(7), direction = Float64Array.from(gradient, () => 2 * next() - 1);
      const moved = (step: number): number => {
        const values = Float64Array.from(
          weights.get(parameter)!,
          (w, i) => w + step * direction[i],
        );
        return referenceLoss(spec, new Map(weights).set(parameter, values), sequences);
      };
      const slope = (moved(1e-4) - moved(-1e-4)) / 2e-4;
      const product = gradient.reduce((sum, g, i) => sum + g * direction[i], 0);
      assertClose([product], [slope], { absolute: 1e-4, relative: 1e-4 }, parameter);
    }
  });
}

tensorTest("a packed batch has the loss and the gradients of its sequences alone", () => {
  using together = randomDecoder(heterogeneous), apart = randomDecoder(heterogeneous);
  const packed = lossOf(together, sequences), tokens = sequences.flat().length - sequences.length;
  packed.backward();
  const losses = sequences.map((ids) => {
    const share = lossOf(apart, [ids]).mul((ids.length - 1) / tokens);
    share.backward();
    return share.item();
  });
  assertClose([packed.item()], [losses.reduce((a, b) => a + b)], close, "loss");
  const expected = gradientsOf(apart);
  for (const [name, gradient] of gradientsOf(together)) {
    assertClose(gradient, expected.get(name)!, { absolute: 1e-6, relative: 1e-4 }, name);
  }
});

for (const dtype of ["f32", "bf16"] as const) {
  tensorTest(`checkpointed blocks give the same gradients in ${dtype}, bit for bit`, () => {
    const [kept, recomputed] = [false, true].map((checkpointBlocks) => {
      using decoder = randomDecoder(heterogeneous, { dtype, checkpointBlocks });
      const loss = lossOf(decoder, sequences);
      loss.backward();
      return [loss.item(), gradientsOf(decoder)];
    });
    assert.deepEqual(recomputed, kept);
  });
}

Deno.test("checkpointed blocks take less memory", () => {
  const deep = { ...llama, context: 256, blocks: Array.from({ length: 8 }, () => llama.blocks[0]) };
  const ids = draw(257, 1);
  const [kept, recomputed] = [false, true].map((checkpointBlocks) => {
    using decoder = new Decoder(deep, { checkpointBlocks });
    const { memory } = device(), before = memory.inUse;
    const after = scope(() => {
      const loss = lossOf(decoder, [ids]);
      const held = device().memory.inUse - before;
      loss.backward();
      return held;
    });
    return after;
  });
  assert.ok(recomputed < kept / 3, `${recomputed} bytes held, ${kept} without`);
});

tensorTest("bf16 computes close to f32, and keeps f32 masters", () => {
  using wide = randomDecoder(llama), narrow = randomDecoder(llama, { dtype: "bf16" });
  assert.deepEqual(narrow.arena!.master.data(), wide.arena!.master.data());
  assert.equal(narrow.embedding.weight.dtype, "bf16");
  const [a, b] = [narrow, wide].map((decoder) => lossOf(decoder, sequences).item());
  assert.ok(Math.abs(a - b) < 0.03, `${a} and ${b}`);
});

Deno.test("a decoder that does not learn holds its weights and nothing else", () => {
  const bytes = (options: ConstructorParameters<typeof Decoder>[1]): number => {
    const before = device().memory.inUse;
    using _ = new Decoder({ ...llama, context: 1 }, options);
    return device().memory.inUse - before;
  };
  const count = parameters(llama).reduce(
    (sum, { shape }) => sum + shape.reduce((a, b) => a * b),
    0,
  );
  const rounding = 1024 * (parameters(llama).length + 1);
  for (const [dtype, size] of [["f32", 4], ["bf16", 2]] as const) {
    const held = bytes({ train: false, dtype });
    assert.ok(held >= size * count && held <= size * count + rounding, `${dtype}: ${held} bytes`);
  }
});

tensorTest("an observer sees the stream before the first block, and after each", () => {
  using decoder = randomDecoder(heterogeneous, { train: false });
  const seen: Tensor[] = [];
  const ids = integers(sequences[0]).reshape([1, -1]);
  const hidden = decoder.hidden(ids, { observe: (depth, stream) => void (seen[depth] = stream) });
  assert.equal(seen.length, heterogeneous.blocks.length + 1);
  assert.deepEqual(seen[0].data(), decoder.embedding.forward(ids).data());
  decoder.blocks.forEach((block, i) =>
    assert.deepEqual(block.forward(seen[i]).data(), seen[i + 1].data(), `block ${i}`)
  );
  assert.deepEqual(decoder.norm.forward(seen.at(-1)!).data(), hidden.data());
});

tensorTest("observed streams carry gradients", () => {
  using decoder = randomDecoder(llama);
  const streams: Tensor[] = [];
  decoder.hidden(integers([1, 2]).reshape([1, 2]), { observe: (_, x) => void streams.push(x) });
  streams[1].sum().backward();
  const touched = gradientsOf(decoder).entries()
    .filter(([, gradient]) => gradient.some((g) => g !== 0)).map(([name]) => name);
  assert.ok([...touched].every((name) => /^(embedding|blocks\.0)\./.test(name)));
});

tensorTest("initial weights depend on the seed and the parameter's name alone", () => {
  const shorter = { ...llama, blocks: llama.blocks.slice(0, 1) };
  using a = new Decoder(llama), b = new Decoder(shorter), c = new Decoder(llama, { seed: 1 });
  const q = (decoder: Decoder) => decoder.weights().get("blocks.0.attention.q.weight")!.data();
  assert.deepEqual(q(a), q(b));
  assert.notDeepEqual(q(a), q(c));
});

tensorTest(
  "initial weights are normal, those that write to the stream smaller, and norms neutral",
  () => {
    const wide = { ...nemotron, dim: 128, headDim: 32, blocks: nemotron.blocks };
    using decoder = new Decoder(wide);
    const deviation = (name: string): number => {
      const data = decoder.weights().get(name)!.data() as Float32Array;
      return Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length);
    };
    const std = Math.sqrt(2 / (5 * 128));
    for (const name of ["embedding", "head", "blocks.1.attention.q", "blocks.0.ffn.up"]) {
      assertClose(
        [deviation(`${name}.weight`) / std],
        [1],
        { absolute: 0.03, relative: 0 },
        name,
      );
    }
    for (const name of ["blocks.1.attention.o", "blocks.0.ffn.down"]) {
      assertClose(
        [deviation(`${name}.weight`) / (std / 2)],
        [1],
        { absolute: 0.03, relative: 0 },
        name,
      );
    }
    assert.equal(deviation("blocks.0.ffn.norm.weight") + deviation("norm.bias"), 0);
    using plain = new Decoder(llama);
    assert.ok(plain.weights().get("norm.weight")!.data().every((x) => x === 1));
  },
);

tensorTest("a decoder copies another's weights, in any type", () => {
  using a = randomDecoder(deci),
    b = new Decoder(deci, { from: a.state(), dtype: "bf16", train: false });
  for (const [name, weight] of b.weights()) {
    assert.deepEqual(weight.data(), a.weights().get(name)!.to("bf16").data(), name);
  }
});

Deno.test("weights that do not fit are named with both shapes before anything is allocated", () => {
  using decoder = new Decoder(llama);
  const entries = new Map(decoder.state()), blocks = llama.blocks.slice(0, 1);
  entries.set("norm.weight", { ...entries.get("norm.weight")!, shape: [31] });
  const before = device().memory.inUse;
  assert.throws(
    () => Decoder.load({ spec: { ...llama, blocks }, entries }),
    (error: Error) =>
      error instanceof CheckpointError &&
      error.message.includes("norm.weight is [31] and must be [32]") &&
      error.message.includes("surplus blocks.1.attention.q.weight [32, 32]"),
  );
  assert.equal(device().memory.inUse, before);
});

Deno.test("a spec that makes no sense is refused", () => {
  assert.throws(() => new Decoder({ ...llama, vocab: 0 }), SpecError);
});
