import assert from "node:assert/strict";
import { Engine, kvBytesPerToken } from "../../engine/mod.ts";
import { Decoder, type DecoderSpec } from "../../nn/mod.ts";
import { device } from "../../tensor/mod.ts";
import { llama } from "../nn/specs.ts";
import { engineTest } from "./support.ts";

/** What an engine for `kvTokens` tokens takes, in bytes, and what it says of its keys and values. */
function taken(spec: DecoderSpec, kvTokens: number): { all: number; kv: number } {
  using decoder = new Decoder(spec, { train: false });
  const before = device().memory.inUse;
  using engine = new Engine(decoder, { kvTokens });
  return { all: device().memory.inUse - before, kv: engine.metrics().kvBytes };
}

/** The most bytes that a step over a prompt of 200 tokens takes on the way. */
function takenByStep(spec: DecoderSpec): number {
  using decoder = new Decoder(spec, { train: false });
  using engine = new Engine(decoder, { kvTokens: 512 });
  engine.add({ prompt: Array.from({ length: 200 }, (_, i) => i % spec.vocab), maxTokens: 1 });
  const before = device().memory.inUse;
  device().resetPeak();
  while (engine.busy) engine.step();
  return device().memory.peak - before;
}

engineTest("what a step needs on the way does not grow with the depth of the model", () => {
  const deep = (count: number): DecoderSpec => ({
    ...{ ...llama, context: 256 },
    blocks: Array.from({ length: count }, () => llama.blocks[0]),
  });
  assert.equal(takenByStep(deep(9)), takenByStep(deep(3)));
});

engineTest("layers without attention take no memory for keys and values", () => {
  const [block] = llama.blocks, bare = { ...block, attention: null };
  const half = { ...block, attention: { kind: "gqa", heads: 4, kvHeads: 1 } } as const;
  const specs = [[block, block], [block, bare], [half, bare], [bare, bare]].map((blocks) =>
    ({ ...llama, blocks }) satisfies DecoderSpec
  );
  for (const spec of specs) {
    const few = taken(spec, 512), many = taken(spec, 2048);
    const perToken = kvBytesPerToken(spec, "f32");
    assert.equal(many.kv - few.kv, 1536 * perToken);
    // Whatever else it takes, weights and tables, does not depend on how many tokens it has room for.
    assert.equal(many.all - few.all, 1536 * perToken);
  }
  assert.equal(kvBytesPerToken(specs[3], "f32"), 0);
});
