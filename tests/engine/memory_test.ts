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
