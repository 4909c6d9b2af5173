import assert from "node:assert/strict";
import { join } from "node:path";
import { parameters } from "../../../nn/spec.ts";
import { toFloat32 } from "../../../nn/checkpoint/convert.ts";
import { openGguf, writeGgufCheckpoint } from "../../../nn/checkpoint/gguf.ts";
import { openHuggingFace, writeHuggingFace } from "../../../nn/checkpoint/huggingface.ts";
import { layoutLlama2c, openLlama2c } from "../../../nn/checkpoint/llama2c.ts";
import { openCheckpoint } from "../../../nn/checkpoint/open.ts";
import { interleaveHeads } from "../../../nn/checkpoint/rotary_order.ts";
import { hasShared, SHARED, withFolder } from "../specs.ts";
import { assertSameTensors } from "./checkpoints.ts";

const STORIES = "models/stories260K/stories260K.bin";

function header(...numbers: number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(numbers).buffer);
}

Deno.test({
  name: "stories260K is laid out to its last byte, with query rows in rotate-half order",
  ignore: !hasShared(STORIES),
  fn() {
    const path = new URL(STORIES, SHARED).pathname;
    using source = openLlama2c(path);
    const { spec } = source;
    assert.deepEqual(
      { ...spec, blocks: [spec.blocks.length, spec.blocks[0]] },
      {
        vocab: 512,
        dim: 64,
        context: 512,
        headDim: 8,
        norm: { kind: "rms_norm", eps: 1e-5 },
        rope: { theta: 10_000, fraction: 1, scaling: null },
        tied: true,
        blocks: [5, {
          attention: { kind: "gqa", heads: 8, kvHeads: 4 },
          ffn: { kind: "gated", hidden: 172, activation: "silu" },
        }],
      },
    );
    const bytes = Deno.readFileSync(path);
    const { tensors } = layoutLlama2c(bytes.subarray(0, 28), bytes.length);
    const { begin, end } = tensors.get("blocks.2.attention.k.weight")!;
    const key = source.entries.get("blocks.2.attention.k.weight")!.read();
    assert.deepEqual(interleaveHeads(key, 4, 8), bytes.subarray(begin, end));
    const norm = toFloat32("f32", source.entries.get("norm.weight")!.read());
    assert.ok(norm.every((value) => value > 0.5 && value < 20), String(norm));
  },
});

Deno.test({
  name: "stories260K keeps its bytes as a Hugging Face folder and as GGUF",
  ignore: !hasShared(STORIES),
  async fn() {
    await withFolder((folder) => {
      using source = openCheckpoint(new URL(STORIES, SHARED).pathname);
      writeHuggingFace(join(folder, "hf"), source);
      writeGgufCheckpoint(join(folder, "stories.gguf"), source);
      using asFolder = openHuggingFace(join(folder, "hf"));
      using asGguf = openGguf(join(folder, "stories.gguf"));
      for (const opened of [asFolder, asGguf]) {
        assert.deepEqual(opened.spec, source.spec);
        assertSameTensors(opened, source);
      }
      using byConfig = openCheckpoint(join(folder, "hf", "config.json"));
      using byGguf = openCheckpoint(join(folder, "stories.gguf"));
      assert.deepEqual(byConfig.spec, byGguf.spec);
    });
  },
});

Deno.test("a negative vocabulary means a head of its own, after the rotary tables", () => {
  const weights = 10 * 4 + 4 + 4 * 4 * 2 + 2 * 4 * 2 + 4 + 6 * 4 * 3 + 4;
  const tables = 3 * 2;
  const fileBytes = 28 + 4 * (weights + tables + 10 * 4);
  const { spec, tensors } = layoutLlama2c(header(4, 6, 1, 2, 1, -10, 3), fileBytes);
  assert.deepEqual([spec.tied, spec.vocab], [false, 10]);
  assert.deepEqual(tensors.get("head.weight"), {
    shape: [10, 4],
    begin: 28 + 4 * (weights + tables),
    end: fileBytes,
  });
  assert.deepEqual(
    new Map(parameters(spec).map(({ name, shape }) => [name, shape])),
    new Map([...tensors].map(([name, { shape }]) => [name, shape])),
  );
});

Deno.test("hostile headers are typed errors", () => {
  const cases: [Uint8Array, object][] = [
    [new Uint8Array(5), { code: "HeaderTooSmall" }],
    [header(0x616b3432, 1, 0, 0, 0, 0, 0), { code: "Unsupported" }],
    [header(4, 6, 1, 2, 1, 10, 3), { code: "MetadataIncompleteBuffer" }],
    [header(-4, 6, 1, 2, 1, 10, 3), { name: "SpecError", key: "dim" }],
    [header(4, 6, 2 ** 31 - 1, 2, 1, 10, 3), { name: "SpecError", key: "layers" }],
    [header(4, 6, -1, 2, 1, 10, 3), { name: "SpecError", key: "layers" }],
    [header(4, 6, 0, 2, 1, 10, 3), { name: "SpecError", key: "blocks" }],
    [header(4, 6, 1, 0, 1, 10, 3), { name: "SpecError", key: "headDim" }],
    [header(4, 6, 1, 3, 1, 10, 3), { name: "SpecError", key: "headDim" }],
    [header(4, 6, 1, 2, 0, 10, 3), { name: "SpecError" }],
    [header(4, 6, 1, 2, 1, 0, 3), { name: "SpecError", key: "vocab" }],
  ];
  for (const [head, error] of cases) assert.throws(() => layoutLlama2c(head, 1000), error);
});
