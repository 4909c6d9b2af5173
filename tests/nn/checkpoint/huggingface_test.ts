import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { SafetensorsFile, writeSafetensors } from "../../../tensor/safetensors.ts";
import type { DecoderSpec } from "../../../nn/spec.ts";
import { toFloat32 } from "../../../nn/checkpoint/convert.ts";
import { openHuggingFace, writeHuggingFace } from "../../../nn/checkpoint/huggingface.ts";
import { openCheckpoint } from "../../../nn/checkpoint/open.ts";
import { castEntries, CheckpointError } from "../../../nn/checkpoint/source.ts";
import { anySpec, deci, hasShared, llama, nemotron, SHARED, withFolder } from "../specs.ts";
import { assertSameTensors, madeCheckpoint } from "./checkpoints.ts";

const TINY = "models/verl-tiny-llama";

Deno.test({
  name: "a Hugging Face model goes through our names and back, byte for byte, sharded or not",
  ignore: !hasShared(TINY),
  async fn() {
    await withFolder((folder) => {
      using original = openHuggingFace(new URL(TINY, SHARED).pathname);
      assert.equal(original.entries.get("blocks.3.ffn.down.weight")!.dtype, "bf16");
      assert.deepEqual(original.files.map((path) => path.split("/").at(-1)), [
        "generation_config.json",
        "tokenizer_config.json",
      ]);
      using theirs = SafetensorsFile.open(new URL(`${TINY}/model.safetensors`, SHARED).pathname);
      for (const maxShardBytes of [5e9, 300_000]) {
        const copy = join(folder, `copy-${maxShardBytes}`);
        writeHuggingFace(copy, original, { like: original.config, maxShardBytes });
        using opened = openHuggingFace(copy);
        assert.deepEqual(opened.config, original.config);
        assertSameTensors(opened, original);
        const shards = readdirSync(copy).filter((name) => name.endsWith(".safetensors"));
        assert.equal(shards.length > 1, maxShardBytes < 5e9);
        const names = shards.flatMap((shard) => {
          using file = SafetensorsFile.open(join(copy, shard));
          for (const name of file.entries.keys()) {
            assert.deepEqual(file.read(name), theirs.read(name));
          }
          return [...file.entries.keys()];
        });
        assert.deepEqual(names.sort(), [...theirs.entries.keys()].sort());
        for (const name of ["generation_config.json", "tokenizer_config.json"]) {
          const source = new URL(`${TINY}/${name}`, SHARED);
          assert.equal(Deno.readTextFileSync(join(copy, name)), Deno.readTextFileSync(source));
        }
      }
      assert.equal(readdirSync(folder).length, 2);
    });
  },
});

Deno.test("every kind of decoder is written and read back", async () => {
  await withFolder((folder) => {
    const biased: DecoderSpec = {
      ...llama,
      blocks: [{
        attention: { kind: "gqa", heads: 4, kvHeads: 2, bias: true },
        ffn: { kind: "gated", hidden: 8, activation: "silu", bias: true },
      }],
    };
    for (const spec of [llama, { ...llama, tied: true }, nemotron, deci, biased]) {
      const made = madeCheckpoint(spec, "bf16");
      writeHuggingFace(join(folder, "model"), made);
      using opened = openHuggingFace(join(folder, "model"));
      assert.deepEqual(opened.spec, spec);
      assertSameTensors(opened, made);
    }
    fc.assert(
      fc.property(anySpec(), (spec) => {
        const made = madeCheckpoint(spec);
        writeHuggingFace(join(folder, "any"), made, { maxShardBytes: 2000 });
        using opened = openHuggingFace(join(folder, "any"));
        assert.deepEqual(opened.spec, spec);
        assertSameTensors(opened, made);
      }),
      { numRuns: 30 },
    );
  });
});

Deno.test("all tensors that do not fit the config are named before any is read", async () => {
  await withFolder((folder) => {
    const path = join(folder, "model");
    writeHuggingFace(path, madeCheckpoint(llama));
    const config = JSON.parse(Deno.readTextFileSync(join(path, "config.json")));
    config.intermediate_size = 64;
    config.num_hidden_layers = 1;
    Deno.writeTextFileSync(join(path, "config.json"), JSON.stringify(config));
    assert.throws(() => openHuggingFace(path), (error) => {
      assert.ok(error instanceof CheckpointError);
      assert.match(error.message, /12 tensors do not fit/);
      assert.match(
        error.message,
        /blocks\.0\.ffn\.gate\.weight is \[48, 32\] and must be \[64, 32\]/,
      );
      assert.match(error.message, /surplus blocks\.1\.attention\.norm\.weight \[32\]/);
      return true;
    });
    const made = madeCheckpoint(llama);
    const fewer = new Map(made.entries);
    fewer.delete("norm.weight");
    assert.throws(
      () => writeHuggingFace(path, { spec: llama, entries: fewer }),
      /missing norm\.weight/,
    );
  });
});

Deno.test("a stored tied head and old rotary tables are not loaded", async () => {
  await withFolder((folder) => {
    const spec = { ...llama, tied: true };
    writeHuggingFace(folder, madeCheckpoint(spec));
    const path = join(folder, "model.safetensors");
    const tensors = (() => {
      using file = SafetensorsFile.open(path);
      return [...file.entries].map(([name, { dtype, shape }]) => {
        const bytes = file.read(name);
        return { name, dtype, shape, chunks: () => [bytes] };
      });
    })();
    const embedding = tensors.find(({ name }) => name === "model.embed_tokens.weight")!;
    const table = { name: "model.layers.0.self_attn.rotary_emb.inv_freq", dtype: "F32" as const };
    writeSafetensors(path, [
      ...tensors,
      { ...embedding, name: "lm_head.weight" },
      { ...table, shape: [4], chunks: () => [new Uint8Array(16)] },
    ]);
    using opened = openHuggingFace(folder);
    assert.equal(opened.entries.has("head.weight"), false);
  });
});

Deno.test("a hostile index cannot reach outside the folder", async () => {
  await withFolder((folder) => {
    writeHuggingFace(folder, madeCheckpoint(llama), { maxShardBytes: 3000 });
    const path = join(folder, "model.safetensors.index.json");
    const index = JSON.parse(Deno.readTextFileSync(path));
    for (const name of ["../other.safetensors", "/etc/passwd", "..", 7]) {
      const changed = { ...index, weight_map: { ...index.weight_map, "lm_head.weight": name } };
      Deno.writeTextFileSync(path, JSON.stringify(changed));
      assert.throws(() => openHuggingFace(folder), /which is not a file name/);
    }
    const [first, second] = Object.values(index.weight_map) as string[];
    const moved = Object.fromEntries(
      Object.entries(index.weight_map).map((
        [name, file],
      ) => [name, file === first ? second : file]),
    );
    Deno.writeTextFileSync(path, JSON.stringify({ weight_map: moved }));
    assert.throws(
      () => openHuggingFace(folder),
      /holds "model\.embed_tokens\.weight", which it does not/,
    );
    Deno.writeTextFileSync(path, "{}");
    assert.throws(() => openHuggingFace(folder), /21 tensors do not fit/);
  });
});

Deno.test("writing replaces a model, but never a folder of something else", async () => {
  await withFolder((folder) => {
    const path = join(folder, "model");
    writeHuggingFace(path, madeCheckpoint(llama), { maxShardBytes: 3000 });
    writeHuggingFace(path, madeCheckpoint(nemotron));
    assert.deepEqual(readdirSync(path).sort(), ["config.json", "model.safetensors"]);
    const failing = madeCheckpoint(llama);
    const entries = new Map(failing.entries);
    entries.set("norm.weight", { ...entries.get("norm.weight")!, read: () => new Uint8Array(3) });
    assert.throws(() => writeHuggingFace(path, { spec: llama, entries }), /do not fill its shape/);
    using kept = openHuggingFace(path);
    assert.deepEqual(kept.spec, nemotron);
    const photos = join(folder, "photos");
    Deno.mkdirSync(photos);
    Deno.writeTextFileSync(join(photos, "a.txt"), "a");
    assert.throws(() => writeHuggingFace(photos, madeCheckpoint(llama)), /is not a model/);
    assert.deepEqual(readdirSync(folder).sort(), ["model", "photos"]);
  });
});

Deno.test("a checkpoint can be written over the one that it is read from", async () => {
  await withFolder((folder) => {
    writeHuggingFace(folder, madeCheckpoint(llama));
    using source = openHuggingFace(folder);
    writeHuggingFace(folder, source);
    using opened = openHuggingFace(folder);
    assertSameTensors(opened, madeCheckpoint(llama));
  });
});

Deno.test("entries are cast one at a time, as they are read", async () => {
  await withFolder((folder) => {
    const made = madeCheckpoint(llama);
    const entries = castEntries(made.entries, "bf16");
    writeHuggingFace(folder, { spec: llama, entries });
    using opened = openHuggingFace(folder);
    for (const [name, entry] of opened.entries) {
      assert.equal(entry.dtype, "bf16");
      const original = toFloat32("f32", made.entries.get(name)!.read());
      toFloat32("bf16", entry.read()).forEach((value, i) => {
        assert.ok(Math.abs(value - original[i]) <= Math.abs(original[i]) * 2 ** -8);
      });
    }
  });
});

Deno.test("what is not a checkpoint is refused with what to give instead", async () => {
  await withFolder((folder) => {
    const cases: [string, string | null, RegExp][] = [
      ["absent", null, /does not exist/],
      ["model.safetensors", "x", /folder that holds it and its config\.json/],
      ["notes.txt", "x", /Give a Hugging Face folder, a \.gguf file/],
      ["short.bin", "x", /too short/],
      ["pytorch_model.bin", "PK\x03\x04 …", /Convert PyTorch's file to safetensors/],
      ["config.json", "[1]", /not a JSON object/],
    ];
    for (const [name, content, message] of cases) {
      if (content !== null) Deno.writeTextFileSync(join(folder, name), content);
      assert.throws(() => openCheckpoint(join(folder, name)), message);
    }
    Deno.writeTextFileSync(join(folder, "config.json"), "{");
    assert.throws(() => openCheckpoint(folder), /config\.json cannot be read/);
    Deno.removeSync(join(folder, "model.safetensors"));
    Deno.writeTextFileSync(join(folder, "config.json"), JSON.stringify({ architectures: ["X"] }));
    assert.throws(() => openCheckpoint(folder), { name: "SpecError", key: "architectures" });
    writeHuggingFace(join(folder, "m"), madeCheckpoint(llama));
    Deno.removeSync(join(folder, "m", "model.safetensors"));
    assert.throws(() => openCheckpoint(join(folder, "m")), /has neither model\.safetensors nor/);
  });
});
