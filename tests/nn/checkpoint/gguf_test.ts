import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { FormatError } from "../../../tensor/safetensors.ts";
import { type DecoderSpec, SpecError } from "../../../nn/spec.ts";
import { toFloat32 } from "../../../nn/checkpoint/convert.ts";
import { openGguf, writeGgufCheckpoint } from "../../../nn/checkpoint/gguf.ts";
import {
  GGUF_TYPES,
  type GgufScalarType,
  type GgufValue,
  parseGguf,
} from "../../../nn/checkpoint/gguf_format.ts";
import { ropeFactors } from "../../../nn/checkpoint/gguf_spec.ts";
import { writeGguf } from "../../../nn/checkpoint/gguf_writer.ts";
import { deinterleaveHeads, interleaveHeads } from "../../../nn/checkpoint/rotary_order.ts";
import { CheckpointError } from "../../../nn/checkpoint/source.ts";
import { deci, hasShared, llama, nemotron, SHARED, withFolder } from "../specs.ts";
import { assertSameTensors, madeCheckpoint } from "./checkpoints.ts";

const VOCABULARIES = "tokenizers/llama.cpp-vocab-tests/";

/** What GGUF can hold of the small DeciLM: all but the linear feed-forward part. */
const ggufDeci: DecoderSpec = {
  ...deci,
  blocks: deci.blocks.map((b) => b.ffn?.kind === "linear" ? { ...b, ffn: null } : b),
};

Deno.test({
  name: "llama.cpp's own vocabulary files are read with their tokenizers",
  ignore: !hasShared(VOCABULARIES),
  fn() {
    const read = (name: string) =>
      parseGguf(Deno.readFileSync(new URL(VOCABULARIES + name, SHARED))).metadata;
    const llama = read("ggml-vocab-llama-spm.gguf");
    assert.deepEqual(llama.get("general.architecture"), { type: "string", value: "llama" });
    assert.deepEqual(llama.get("llama.block_count"), { type: "uint32", value: 32 });
    const tokens = llama.get("tokenizer.ggml.tokens")!;
    assert.ok(tokens.type === "array" && tokens.of === "string");
    assert.equal(tokens.value.length, 32000);
    assert.deepEqual(tokens.value.slice(0, 4), ["<unk>", "<s>", "</s>", "<0x00>"]);
    const gpt2 = read("ggml-vocab-gpt-2.gguf");
    assert.equal((gpt2.get("tokenizer.ggml.merges")!.value as string[]).length, 50000);
  },
});

Deno.test({
  name: "a vocabulary file is not taken for a model",
  ignore: !hasShared(VOCABULARIES),
  fn() {
    const open = (name: string) => openGguf(new URL(VOCABULARIES + name, SHARED).pathname);
    assert.throws(() => open("ggml-vocab-llama-spm.gguf"), /holds no model/);
    assert.throws(() => open("ggml-vocab-gpt-2.gguf"), /architecture is "gpt2"/);
  },
});

Deno.test("a GGUF file gives back the spec and the bytes that it was written from", async () => {
  await withFolder((folder) => {
    const path = join(folder, "model.gguf");
    const tied = { ...llama, tied: true };
    const biased: DecoderSpec = {
      ...llama,
      blocks: [{
        attention: { kind: "gqa", heads: 4, kvHeads: 4, bias: true },
        ffn: { kind: "gated", hidden: 32, activation: "silu", bias: true },
      }],
    };
    const stretched = { ...llama, rope: { ...deci.rope, theta: 10_000 } };
    for (const spec of [llama, tied, biased, stretched, ggufDeci]) {
      const made = madeCheckpoint(spec);
      writeGgufCheckpoint(path, made);
      using opened = openGguf(path);
      assert.deepEqual(opened.spec, spec);
      assertSameTensors(opened, made);
    }
    assert.deepEqual(readdirSync(folder), ["model.gguf"]);
  });
});

Deno.test("matrices take the asked dtype while norms stay f32", async () => {
  await withFolder((folder) => {
    const path = join(folder, "model.gguf");
    const made = madeCheckpoint(llama, "bf16");
    for (const dtype of ["f32", "f16", "bf16", "q8_0"] as const) {
      writeGgufCheckpoint(path, made, { dtype });
      using opened = openGguf(path);
      assert.equal(opened.entries.get("blocks.0.attention.q.weight")!.dtype, dtype);
      assert.equal(opened.entries.get("blocks.0.attention.norm.weight")!.dtype, "f32");
      // 48 numbers a row don't divide into blocks of 32.
      const down = opened.entries.get("blocks.1.ffn.down.weight")!;
      assert.equal(down.dtype, dtype === "q8_0" ? "f16" : dtype);
      const values = toFloat32(down.dtype, down.read());
      const original = made.entries.get("blocks.1.ffn.down.weight")!;
      toFloat32("bf16", original.read()).forEach((value, i) => {
        assert.ok(Math.abs(values[i] - value) < 0.02 * Math.abs(value) + 0.01);
      });
    }
  });
});

Deno.test("query rows go into llama.cpp's order, and come back", () => {
  // Two heads of four rows: the pairs (0, 2) and (1, 3) of a head become neighbours.
  const rows = Uint8Array.from([0, 1, 2, 3, 4, 5, 6, 7].flatMap((row) => [row, row]));
  const interleaved = interleaveHeads(rows, 2, 4);
  assert.deepEqual([...interleaved].filter((_, i) => i % 2 === 0), [0, 2, 1, 3, 4, 6, 5, 7]);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 6 }), (heads, half) => {
      const bytes = Uint8Array.from({ length: heads * half * 2 * 3 }, (_, i) => i);
      assert.deepEqual(
        deinterleaveHeads(interleaveHeads(bytes, heads, 2 * half), heads, 2 * half),
        bytes,
      );
    }),
  );
});

Deno.test("rotary factors follow Llama 3's rule at both ends and between", () => {
  const spec = { ...deci, headDim: 128 };
  const factors = ropeFactors(spec)!;
  assert.equal(factors[0], 1);
  assert.equal(factors[63], 8);
  // Frequency 32 has wavelength 4443: s = (8192 / 4443 − 1) / 3.
  const smooth = (8192 / (2 * Math.PI * Math.sqrt(500_000)) - 1) / 3;
  assert.ok(Math.abs(factors[32] - 1 / ((1 - smooth) / 8 + smooth)) < 1e-6);
  assert.equal(ropeFactors(llama), null);
});

const anyScalar = (type: GgufScalarType): fc.Arbitrary<number | bigint | boolean | string> => {
  switch (type) {
    case "string":
      return fc.string({ unit: "grapheme" });
    case "bool":
      return fc.boolean();
    case "uint64":
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    case "int64":
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case "float32":
      return fc.float();
    case "float64":
      return fc.double();
    default: {
      const bits = Number(type.replace(/\D/g, ""));
      const min = type.startsWith("u") ? 0 : -(2 ** (bits - 1));
      return fc.integer({ min, max: min + 2 ** bits - 1 });
    }
  }
};
const scalarTypes = GGUF_TYPES.filter((type) => type !== "array");
const anyValue: fc.Arbitrary<GgufValue> = fc.constantFrom(...scalarTypes).chain((type) =>
  fc.oneof(
    anyScalar(type).map((value) => ({ type, value })),
    fc.array(anyScalar(type)).map((value) => ({ type: "array" as const, of: type, value })),
  )
);

Deno.test("metadata of every type is read back as written", async () => {
  await withFolder((folder) => {
    const path = join(folder, "x.gguf");
    const anyPairs = fc.array(fc.tuple(fc.string(), anyValue));
    fc.assert(fc.property(anyPairs, fc.constantFrom(8, 32, 64), (pairs, alignment) => {
      const metadata = new Map<string, GgufValue>(pairs);
      metadata.set("general.alignment", { type: "uint32", value: alignment });
      const tensor = (name: string, rows: number) => ({
        name,
        dtype: "q8_0" as const,
        shape: [rows, 32],
        read: () => new Uint8Array(34 * rows).fill(rows),
      });
      writeGguf(path, metadata, [tensor("a", 1), tensor("b", 3)]);
      const bytes = Deno.readFileSync(path);
      const header = parseGguf(bytes);
      assert.deepEqual(header.metadata, metadata);
      const { begin, end, shape } = header.tensors.get("b")!;
      assert.deepEqual([shape, begin % alignment], [[3, 32], 0]);
      assert.ok(bytes.subarray(begin, end).every((byte) => byte === 3));
    }));
  });
});

Deno.test("a changed or cut file gives a typed error or a model, never anything else", async () => {
  await withFolder((folder) => {
    const path = join(folder, "x.gguf");
    writeGgufCheckpoint(path, madeCheckpoint(ggufDeci));
    const seed = Deno.readFileSync(path);
    const headerBytes = Math.min(...parseGguf(seed).tensors.values().map(({ begin }) => begin));
    const bad = join(folder, "bad.gguf");
    const change = fc.tuple(fc.nat(headerBytes - 1), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 3 }),
        fc.nat(seed.length),
        fc.boolean(),
        (changes, length, cut) => {
          const bytes = cut ? seed.slice(0, length) : seed.slice();
          for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
          Deno.writeFileSync(bad, bytes);
          try {
            openGguf(bad)[Symbol.dispose]();
          } catch (error) {
            const typed = [FormatError, SpecError, CheckpointError].some((t) => error instanceof t);
            assert.ok(typed, (error as Error).stack);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
});

Deno.test("hostile headers are refused before memory is taken", () => {
  const header = (...parts: (number | bigint | string)[]) =>
    new Uint8Array(parts.flatMap((part) => {
      if (typeof part === "string") return [...new TextEncoder().encode(part)];
      const size = typeof part === "bigint" ? 8 : 4;
      return Array.from({ length: size }, (_, i) => Number(BigInt(part) >> BigInt(8 * i) & 255n));
    }));
  const huge = 2n ** 40n;
  const cases: [Uint8Array, RegExp][] = [
    [header(), /does not start with/],
    [header("GGML", 3), /does not start with/],
    [header("GGUF", 1, 0n, 0n), /version is 1/],
    [header("GGUF", 0x03000000, 0n, 0n), /Big-endian/],
    [header("GGUF", 3, huge, 0n), /1099511627776 tensors do not fit/],
    [header("GGUF", 3, 0n, huge), /metadata pairs do not fit/],
    [header("GGUF", 3, 2n ** 60n, 0n), /2\^53/],
    [header("GGUF", 3, 0n, 1n, huge, "xxxxxxxxx"), /at most 65535/],
    [header("GGUF", 3, 0n, 1n, 1n, "k", 8, huge), /needed/],
    [header("GGUF", 3, 0n, 1n, 1n, "k", 9, 4, huge), /values in "k" do not fit/],
    [header("GGUF", 3, 0n, 1n, 1n, "k", 9, 9, 1n), /list of lists/],
    [header("GGUF", 3, 0n, 1n, 1n, "k", 13, 0n), /unknown type 13/],
    [header("GGUF", 3, 0n, 1n, 1n, "k", 7, 2), /boolean is 2/],
    [header("GGUF", 3, 0n, 2n, 1n, "k", 4, 0, 1n, "k", 4, 0), /"k" comes twice/],
    [header("GGUF", 3, 1n, 0n, 1n, "t", 9, 0n), /9 axes/],
    [header("GGUF", 3, 1n, 0n, 1n, "t", 1, 32n, 12, 0n), /stored as Q4_K/],
    [header("GGUF", 3, 1n, 0n, 1n, "t", 1, 31n, 8, 0n), /blocks of 32/],
    [header("GGUF", 3, 1n, 0n, 1n, "t", 1, huge, 0, 0n), /ends after the file/],
    [header("GGUF", 3, 1n, 0n, 1n, "t", 1, 1n, 0, 32n), /starts at 32 \(expected 0\)/],
  ];
  for (const [bytes, message] of cases) {
    assert.throws(() => parseGguf(bytes), (error) => {
      assert.ok(error instanceof FormatError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("metadata that describes no decoder is refused", async () => {
  await withFolder((folder) => {
    const path = join(folder, "x.gguf");
    writeGgufCheckpoint(path, madeCheckpoint(llama));
    const { metadata } = openAndClose(path);
    const tensor = {
      dtype: "f32" as const,
      shape: [96, 32],
      read: () => new Uint8Array(4 * 96 * 32),
    };
    const cases: [string, GgufValue, RegExp][] = [
      ["llama.block_count", { type: "int32", value: -1 }, /not a number of blocks, -1/],
      ["llama.block_count", { type: "uint32", value: 2 ** 32 - 1 }, /not a number of blocks/],
      ["llama.block_count", { type: "float32", value: 1.5 }, /not a number of blocks, 1\.5/],
      ["llama.block_count", { type: "string", value: "2" }, /block_count is 2/],
      ["llama.embedding_length", { type: "uint32", value: 64 }, /tensors do not fit/],
      ["llama.attention.head_count", { type: "array", of: "int32", value: [4] }, /1 numbers for 2/],
      ["llama.rope.dimension_count", { type: "uint32", value: 4 }, /4 of 8 head values rotate/],
      ["llama.rope.scaling.type", { type: "string", value: "yarn" }, /yarn with factor 0/],
      ["llama.rope.scaling.factor", { type: "float32", value: 4 }, /none with factor 4/],
      ["llama.expert_count", { type: "uint32", value: 8 }, /mixture of experts/],
      ["general.architecture", { type: "string", value: "mamba" }, /architecture is "mamba"/],
    ];
    for (const [key, value, message] of cases) {
      const changed = new Map(metadata).set(key, value);
      writeGguf(path, changed, [{ name: "token_embd.weight", ...tensor }]);
      assert.throws(() => openAndClose(path), (error) => {
        assert.ok([FormatError, SpecError, CheckpointError].some((t) => error instanceof t));
        assert.match((error as Error).message, message);
        return true;
      });
    }
  });
});

function openAndClose(path: string): { metadata: ReadonlyMap<string, GgufValue> } {
  using opened = openGguf(path);
  return opened;
}

Deno.test("models that GGUF's llama and deci cannot express are refused", async () => {
  await withFolder((folder) => {
    const write = (spec: DecoderSpec) =>
      writeGgufCheckpoint(join(folder, "x.gguf"), madeCheckpoint(spec));
    assert.throws(() => write(nemotron), /cannot hold a NemotronForCausalLM model/);
    assert.throws(() => write(deci), /cannot hold linear feed-forward parts/);
    assert.deepEqual(readdirSync(folder), []);
  });
});

Deno.test("a vocabulary larger than the first read is found", async () => {
  await withFolder((folder) => {
    const path = join(folder, "x.gguf");
    const value = Array.from({ length: 100_000 }, (_, i) => `token number ${i}`);
    const tokens: GgufValue = { type: "array", of: "string", value };
    const metadata = new Map([["tokenizer.ggml.tokens", tokens]]);
    writeGgufCheckpoint(path, madeCheckpoint(llama), { metadata });
    using opened = openGguf(path);
    assert.deepEqual(opened.metadata.get("tokenizer.ggml.tokens"), tokens);
  });
});
