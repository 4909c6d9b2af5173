import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import {
  FormatError,
  parseSafetensorsHeader,
  SAFETENSORS_BITS,
  type SafetensorsDType,
  SafetensorsFile,
  type SafetensorsInput,
  writeSafetensors,
  writeShardedSafetensors,
} from "../../tensor/safetensors.ts";

const SHARED = new URL("../../../shared/data/formats/", import.meta.url);
const shared = exists(SHARED);
if (!shared) console.log("skipped: ../shared/data/formats is absent");

function exists(url: URL): boolean {
  try {
    Deno.statSync(url);
    return true;
  } catch {
    return false;
  }
}

function withFolder(test: (folder: string) => void): void {
  const folder = Deno.makeTempDirSync();
  try {
    test(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** A whole file: header length, header, data. */
function fileBytes(header: string | Uint8Array, dataBytes: number): Uint8Array {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

/** The rule that a file breaks, or "ok"; anything but a FormatError is a failure. */
function verdict(bytes: Uint8Array): string {
  try {
    parseSafetensorsHeader(bytes, bytes.length);
    return "ok";
  } catch (error) {
    assert.ok(error instanceof FormatError, String(error));
    return error.code;
  }
}

function info(dtype: string, shape: string, begin: number, end: number): string {
  return `{"dtype":"${dtype}","shape":${shape},"data_offsets":[${begin},${end}]}`;
}

Deno.test({
  name: "every byte vector of the reference library gets its verdict",
  ignore: !shared,
  fn() {
    const vectors: { test: string; hex: string; expect: string }[] = JSON.parse(
      readFileSync(new URL("safetensors-bytes/byte_vectors.json", SHARED), "utf8"),
    );
    assert.equal(vectors.length, 16);
    for (const { test, hex, expect } of vectors) {
      const bytes = new Uint8Array(hex.match(/../g)?.map((pair) => parseInt(pair, 16)) ?? []);
      assert.equal(verdict(bytes), expect.replace("error:", ""), test);
      withFolder((folder) => {
        const path = join(folder, "x.safetensors");
        Deno.writeFileSync(path, bytes);
        const open = () => SafetensorsFile.open(path).close();
        if (expect === "ok") open();
        else assert.throws(open, { name: "FormatError", code: expect.replace("error:", "") });
      });
    }
  },
});

Deno.test({
  name: "real files of other libraries give their shapes and values",
  ignore: !shared,
  fn() {
    const open = (name: string) => {
      using file = SafetensorsFile.open(new URL(`safetensors/${name}`, SHARED).pathname);
      const entry = file.entries.get("embedding")!;
      return { dtype: entry.dtype, shape: entry.shape, bytes: file.read("embedding") };
    };
    const one = open("tensor-1d-int32.safetensors");
    assert.deepEqual([one.dtype, one.shape], ["I32", [3]]);
    assert.deepEqual([...new Int32Array(one.bytes.buffer)], [1, 2, 3]);
    const two = open("tensor-2d-float64.safetensors");
    assert.deepEqual([two.dtype, two.shape], ["F64", [2, 3]]);
    assert.deepEqual([...new Float64Array(two.bytes.buffer)], [1, 2, 3, 24, 25, 26]);
    const four = open("tensor-4d-float32.safetensors");
    assert.deepEqual([four.dtype, four.shape], ["F32", [2, 3, 1, 3]]);
    assert.equal(new Float32Array(four.bytes.buffer)[0], 11);
  },
});

Deno.test("hostile headers are refused by the rule they break", () => {
  const cases: [string, string | Uint8Array, number][] = [
    [
      "InvalidHeaderDeserialization",
      `{"a":${info("F32", "[1]", 0, 4)},"a":${info("F32", "[1]", 4, 8)}}`,
      8,
    ],
    [
      "InvalidHeaderDeserialization",
      `{"a":${info("F32", "[1]", 0, 4)},"\\u0061":${info("F32", "[1]", 4, 8)}}`,
      8,
    ],
    [
      "InvalidHeaderDeserialization",
      `{"a":{"dtype":"F32","dtype":"I32","shape":[1],"data_offsets":[0,4]}}`,
      4,
    ],
    ["InvalidHeaderDeserialization", `{"a":${info("F33", "[1]", 0, 4)}}`, 4],
    ["InvalidHeaderDeserialization", `{"a":${info("toString", "[1]", 0, 4)}}`, 4],
    ["InvalidHeaderDeserialization", `{"a":${info("F32", "[1.0]", 0, 4)}}`, 4],
    ["InvalidHeaderDeserialization", `{"a":${info("F32", "[-1]", 0, 4)}}`, 4],
    ["InvalidHeaderDeserialization", `{"a":${info("F32", "[-0]", 0, 0)}}`, 0],
    ["InvalidHeaderDeserialization", `{"a":${info("F32", "[1e0]", 0, 4)}}`, 4],
    ["InvalidHeaderDeserialization", `{"a":${info("F32", "1", 0, 4)}}`, 4],
    ["InvalidHeaderDeserialization", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}`, 4],
    [
      "InvalidHeaderDeserialization",
      `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,9007199254740993]}}`,
      4,
    ],
    ["InvalidHeaderDeserialization", `{"a":{"dtype":"F32","shape":[1]}}`, 4],
    [
      "InvalidHeaderDeserialization",
      `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}`,
      4,
    ],
    ["InvalidHeaderDeserialization", `{"a":null}`, 0],
    ["InvalidHeaderDeserialization", `{"__metadata__":{"step":1}}`, 0],
    ["InvalidHeaderDeserialization", `{"__metadata__":["x"]}`, 0],
    ["InvalidHeaderDeserialization", "[]", 0],
    ["InvalidHeaderDeserialization", "null", 0],
    ["InvalidHeaderDeserialization", "[".repeat(200_000), 0],
    ["InvalidHeaderDeserialization", new Uint8Array([0xef, 0xbb, 0xbf, 0x7b, 0x7d]), 0],
    ["InvalidHeader", new Uint8Array([0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x7d]), 0],
    ["InvalidOffset", `{"a":${info("F32", "[1]", 0, 4)},"b":${info("F32", "[1]", 2, 6)}}`, 6],
    ["InvalidOffset", `{"a":${info("F32", "[1]", 0, 4)},"b":${info("F32", "[1]", 8, 12)}}`, 12],
    ["InvalidOffset", `{"a":${info("F32", "[1]", 4, 8)}}`, 8],
    ["InvalidOffset", `{"a":${info("F32", "[0]", 0, 0)},"b":${info("F32", "[0]", 4, 0)}}`, 4],
    ["TensorInvalidInfo", `{"a":${info("F32", "[2]", 0, 4)}}`, 4],
    ["MisalignedSlice", `{"a":${info("F4", "[3]", 0, 1)}}`, 1],
    ["ValidationOverflow", `{"a":${info("F32", "[4294967296,4294967296]", 0, 4)}}`, 4],
    ["MetadataIncompleteBuffer", `{"a":${info("F32", "[1]", 0, 4)}}`, 5],
    ["MetadataIncompleteBuffer", `{"a":${info("F32", "[1]", 0, 4)}}`, 3],
  ];
  for (const [expected, header, data] of cases) {
    assert.equal(verdict(fileBytes(header, data)), expected, String(header).slice(0, 100));
  }
});

Deno.test("what looks hostile but is legal is read", () => {
  const names = ["", "__proto__", "constructor", 'a"b\\', "e-1.5", "7"];
  const header = `{"__metadata__":{"note":"a-1.5e3, {\\"x\\": [1]}","x":""},` +
    names.map((name, i) => `${JSON.stringify(name)} \n : ${info("U8", "[1]", i, i + 1)}`) + "}";
  const bytes = fileBytes(header, names.length);
  const { entries, metadata } = parseSafetensorsHeader(bytes, bytes.length);
  assert.deepEqual([...entries.keys()], names);
  assert.equal(metadata.get("note"), 'a-1.5e3, {"x": [1]}');
});

Deno.test("a header length that the file cannot hold is refused before memory is taken", () => {
  withFolder((folder) => {
    const path = join(folder, "liar.safetensors");
    const bytes = new Uint8Array(9);
    new DataView(bytes.buffer).setBigUint64(0, 99_999_999n, true);
    Deno.writeFileSync(path, bytes);
    assert.throws(() => SafetensorsFile.open(path), { code: "InvalidHeaderLength" });
  });
});

Deno.test("a changed or cut file gives a FormatError or its tensors, never anything else", () => {
  withFolder((folder) => {
    const path = join(folder, "seed.safetensors");
    writeSafetensors(path, [input("a", "F32", [2, 3]), input("b", "BF16", [4])], { by: "test" });
    const seed = Deno.readFileSync(path);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(seed.length - 1), fc.integer({ min: 0, max: 255 })), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.nat(seed.length),
        fc.boolean(),
        (changes, length, cut) => {
          const bytes = cut ? seed.slice(0, length) : seed.slice();
          for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
          verdict(bytes);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

/** A tensor whose bytes are different at each place and come in uneven chunks. */
function input(name: string, dtype: SafetensorsDType, shape: number[]): SafetensorsInput {
  const length = shape.reduce((a, b) => a * b, SAFETENSORS_BITS[dtype] / 8);
  const bytes = Uint8Array.from({ length }, (_, i) => (i * 31 + name.length) & 255);
  return {
    name,
    dtype,
    shape,
    *chunks() {
      for (let at = 0; at < length; at += 5) yield bytes.subarray(at, at + 5);
    },
  };
}

function bytesOf(tensor: SafetensorsInput): Uint8Array {
  return new Uint8Array([...tensor.chunks()].flatMap((chunk) => [...chunk]));
}

const anyTensors = fc.uniqueArray(
  fc.tuple(
    fc.string().filter((name) => name !== "__metadata__"),
    fc.constantFrom<SafetensorsDType>("F64", "F32", "F16", "BF16", "I64", "I32", "I8", "BOOL"),
    fc.array(fc.nat(4), { maxLength: 3 }),
  ),
  { maxLength: 8, selector: ([name]) => name },
).map((rows) => rows.map(([name, dtype, shape]) => input(name, dtype, shape)));

Deno.test("what is written is read back, aligned, in a header padded to 8 bytes", () => {
  withFolder((folder) => {
    fc.assert(fc.property(anyTensors, (tensors) => {
      const path = join(folder, "x.safetensors");
      writeSafetensors(path, tensors, { format: "pt" });
      using file = SafetensorsFile.open(path);
      assert.deepEqual([...file.entries.keys()].sort(), tensors.map((t) => t.name).sort());
      for (const tensor of tensors) {
        const entry = file.entries.get(tensor.name)!;
        assert.deepEqual([entry.dtype, entry.shape], [tensor.dtype, tensor.shape]);
        assert.equal(entry.begin % (SAFETENSORS_BITS[entry.dtype] / 8), 0);
        assert.deepEqual(file.read(tensor.name), bytesOf(tensor));
      }
      assert.equal(file.metadata.get("format"), "pt");
    }));
  });
});

Deno.test("the bytes equal those of the reference library", () => {
  withFolder((folder) => {
    const path = join(folder, "x.safetensors");
    const values = new Uint8Array(new Float32Array([0, 1, 2, 3, 4, 5]).buffer);
    writeSafetensors(path, [
      { name: "attn0", dtype: "F32", shape: [1, 1, 2, 3], chunks: () => [values] },
    ]);
    const header = '{"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}}       ';
    assert.deepEqual(Deno.readFileSync(path), new Uint8Array([...fileBytes(header, 0), ...values]));
    writeSafetensors(path, []);
    assert.deepEqual(Deno.readFileSync(path), fileBytes("{}      ", 0));
  });
});

Deno.test("a failed write leaves the old file and no temporary one", () => {
  withFolder((folder) => {
    const path = join(folder, "x.safetensors");
    writeSafetensors(path, [input("old", "U8", [3])]);
    const short = { ...input("new", "F32", [3]), chunks: () => [new Uint8Array(4)] };
    assert.throws(() => writeSafetensors(path, [short]), {
      message: 'safetensors: the chunks of "new" do not fill its shape, F32 [3] ' +
        "(12 bytes needed, 4 given). Give all of them.",
    });
    assert.throws(() => writeSafetensors(path, [input("a", "U8", [1]), input("a", "U8", [1])]));
    assert.throws(() => writeSafetensors(path, [input("__metadata__", "U8", [1])]));
    assert.deepEqual(readdirSync(folder), ["x.safetensors"]);
    using file = SafetensorsFile.open(path);
    assert.deepEqual([...file.entries.keys()], ["old"]);
  });
});

Deno.test("shards hold every tensor once and the index says where", () => {
  withFolder((folder) => {
    const tensors = [10, 20, 30, 100, 5].map((n, i) => input(`t${i}`, "F32", [n]));
    const files = writeShardedSafetensors(folder, tensors, { maxBytes: 200 });
    const index = JSON.parse(Deno.readTextFileSync(join(folder, "model.safetensors.index.json")));
    assert.equal(index.metadata.total_size, 165 * 4);
    assert.deepEqual(index.weight_map, {
      t0: "model-00001-of-00004.safetensors",
      t1: "model-00001-of-00004.safetensors",
      t2: "model-00002-of-00004.safetensors",
      t3: "model-00003-of-00004.safetensors",
      t4: "model-00004-of-00004.safetensors",
    });
    assert.deepEqual(files.toSorted(), readdirSync(folder).sort());
    for (const tensor of tensors) {
      using file = SafetensorsFile.open(join(folder, index.weight_map[tensor.name]));
      assert.deepEqual(file.read(tensor.name), bytesOf(tensor));
    }
  });
});

Deno.test("tensors that fit one file get no index", () => {
  withFolder((folder) => {
    assert.deepEqual(writeShardedSafetensors(folder, [input("a", "U8", [9])]), [
      "model.safetensors",
    ]);
    assert.deepEqual(readdirSync(folder), ["model.safetensors"]);
  });
});

Deno.test("reading checks the name, the target's size and that the file is open", () => {
  withFolder((folder) => {
    const path = join(folder, "x.safetensors");
    writeSafetensors(path, [input("a", "F32", [2])]);
    const file = SafetensorsFile.open(path);
    assert.throws(() => file.read("b"), { code: "TensorNotFound" });
    assert.throws(() => file.readInto("a", new Uint8Array(7)), RangeError);
    file.close();
    file.close();
    assert.throws(() => file.read("a"), { message: /is closed/ });
  });
});
