import assert from "node:assert/strict";
import type { DecoderSpec } from "../../nn/spec.ts";
import { formatSummary, summarize } from "../../nn/summary.ts";
import { fromHuggingFace } from "../../nn/checkpoint/huggingface_config.ts";
import { deci, hasShared, llama, SHARED } from "./specs.ts";

function shared(name: string): DecoderSpec {
  const url = new URL(`configs/${name}.config.json`, SHARED);
  return fromHuggingFace(JSON.parse(Deno.readTextFileSync(url)));
}

Deno.test({
  name: "LN-Super 49B has 49.867 B parameters and attention in 49 of 80 blocks",
  ignore: !hasShared("configs"),
  fn() {
    const { parameters, counts, kvBytesPerToken } = summarize(shared("LN-Super-49B"));
    assert.equal((parameters.total / 1e9).toFixed(3), "49.867");
    assert.deepEqual(counts, { blocks: 80, attention: 49, ffn: 80, identity: 0 });
    assert.equal(kvBytesPerToken.bf16, 49 * 2 * 8 * 128 * 2);
  },
});

Deno.test({
  name: "LN-Ultra 253B has 253.401 B parameters and attention in 64 of 162 blocks",
  ignore: !hasShared("configs"),
  fn() {
    const summary = summarize(shared("LN-Ultra-253B"));
    assert.equal((summary.parameters.total / 1e9).toFixed(3), "253.401");
    assert.deepEqual(summary.counts, { blocks: 162, attention: 64, ffn: 81, identity: 81 });
    const { parameters: p } = summary;
    assert.equal(p.embedding + p.head + p.blocks + p.norm, p.total);
    assert.match(formatSummary(summary), /^parameters +253\.401 B \(253,40\d,/);
  },
});

Deno.test("a small decoder's numbers equal those counted by hand", () => {
  const attention = 32 + 32 * 32 * 2 + 16 * 32 * 2;
  const ffn = 32 + 3 * 32 * 48;
  const summary = summarize(llama, 16);
  assert.equal(summary.parameters.total, 2 * 96 * 32 + 2 * (attention + ffn) + 32);
  assert.equal(summary.blocks[1].parameters, attention + ffn);
  assert.deepEqual(summary.kvBytesPerToken, { f32: 2 * 2 * 2 * 8 * 4, bf16: 2 * 2 * 2 * 8 * 2 });
  assert.equal(summary.memory.kvCache, 16 * summary.kvBytesPerToken.bf16);
  const matrices = 2 * (attention + ffn - 64) + 96 * 32;
  assert.equal(summary.flopsPerToken.decode, 2 * matrices + 2 * 4 * 32 * 16);
  assert.equal(summary.flopsPerToken.forward, 2 * matrices + 2 * 4 * 32 * 8.5);
  assert.equal(summary.flopsPerToken.training, 3 * summary.flopsPerToken.forward);
  assert.equal(summary.memory.training.bf16, 18 * summary.parameters.total);
});

Deno.test("a window limits what attention reads and what the cache holds", () => {
  const attention = { kind: "gqa", heads: 4, kvHeads: 2, window: 4 } as const;
  const spec = { ...llama, blocks: [{ attention, ffn: null }] };
  const wide = summarize({
    ...spec,
    blocks: [{ attention: { ...attention, window: 99 }, ffn: null }],
  }, 10);
  const narrow = summarize(spec, 10);
  assert.equal(wide.flopsPerToken.decode - narrow.flopsPerToken.decode, 4 * 32 * (10 - 4));
  // Positions see 1, 2, 3, 4, 4, 4, 4, 4, 4, 4 tokens instead of 1 to 10.
  assert.equal(
    Math.round(wide.flopsPerToken.forward - narrow.flopsPerToken.forward),
    Math.round(4 * 32 * (55 - 34) / 10),
  );
  assert.equal(narrow.memory.kvCache, 4 * narrow.kvBytesPerToken.bf16);
});

Deno.test("a tied head costs no parameters but the same work", () => {
  const tied = summarize({ ...llama, tied: true });
  const untied = summarize(llama);
  assert.equal(untied.parameters.total - tied.parameters.total, 96 * 32);
  assert.equal(tied.flopsPerToken.forward, untied.flopsPerToken.forward);
});

Deno.test("the text names every kind of block and joins equal ones", () => {
  const text = formatSummary(summarize({ ...deci, blocks: [...deci.blocks, deci.blocks[4]] }));
  const lines = text.split("\n").map((line) => line.split(/ {2,}/).slice(0, 3).join(" | "));
  assert.match(text, /^blocks +6: attention in 3, feed-forward in 3, identity 2$/m);
  for (
    const line of [
      "block | attention | ffn",
      "0 | gqa 4/2 | gated 256",
      "1 | – | gated 48",
      "2 | linear | linear",
      "3 | gqa 4/1 | –",
      "4–5 | – | –",
    ]
  ) assert.ok(lines.includes(line), `${line} in\n${text}`);
});
