import assert from "node:assert/strict";
import fc from "fast-check";
import { join } from "node:path";
import { Tokenizer, TokenizerError } from "../../text/mod.ts";
import { sharedPath, sharedTest } from "./shared.ts";

/** Loads bytes as a file of the given name: a tokenizer that works, or a typed error. */
async function loads(folder: string, name: string, bytes: Uint8Array): Promise<boolean> {
  const path = join(folder, name);
  await Deno.writeFile(path, bytes);
  try {
    const tokenizer = await Tokenizer.load(path);
    const ids = tokenizer.encode("Hello, wörld \u2581 🦙");
    tokenizer.decode(ids);
    return true;
  } catch (error) {
    assert.ok(error instanceof TokenizerError, `${name}: ${error}`);
    return false;
  }
}

async function inTemporaryFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const files: readonly (readonly [string, string])[] = [
  ["models/stories260K/tok512.bin", "tok.bin"],
  ["models/stories260K/tok512.model", "tokenizer.model"],
  ["tokenizers/sentencepiece-test/test_model.model", "tokenizer.model"],
  ["tokenizers/torchtune-small/tiktoken_small.model", "tokenizer.model"],
];

for (const [path, name] of files) {
  sharedTest(`${path} cut anywhere is a typed error or a smaller vocabulary`, [path], async () => {
    const bytes = Deno.readFileSync(sharedPath(path));
    const length = fc.nat(bytes.length - 1);
    await inTemporaryFolder(async (folder) => {
      await fc.assert(
        fc.asyncProperty(length, async (length) => {
          await loads(folder, name, bytes.subarray(0, length));
        }),
        { numRuns: 60 },
      );
      assert.equal(await loads(folder, name, bytes.subarray(0, 300)), false);
      assert.equal(await loads(folder, name, bytes), true);
    });
  });

  sharedTest(`${path} with changed bytes never hangs or fails untyped`, [path], async () => {
    const bytes = Deno.readFileSync(sharedPath(path));
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
    await inTemporaryFolder(async (folder) => {
      await fc.assert(
        fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 20 }), async (changes) => {
          const changed = bytes.slice();
          for (const [at, value] of changes) changed[at] = value;
          await loads(folder, name, changed);
        }),
        { numRuns: 60 },
      );
    });
  });
}

Deno.test("arbitrary bytes under any tokenizer's name are a typed error", async () => {
  const names = ["tokenizer.model", "tok.bin", "ranks.tiktoken", "tokenizer.json"];
  const cases = fc.tuple(fc.constantFrom(...names), fc.uint8Array({ maxLength: 200 }));
  await inTemporaryFolder(async (folder) => {
    await fc.assert(fc.asyncProperty(cases, async ([name, bytes]) => {
      await loads(folder, name, bytes);
    }));
  });
});

Deno.test("lengths and numbers meant to overflow are typed errors", async () => {
  const hostile: readonly (readonly [string, number[]])[] = [
    // A field whose length is negative, then one of 2^62 bytes, then an endless number.
    ["tokenizer.model", [0x0a, ...new Array(9).fill(0xff), 0x01]],
    ["tokenizer.model", [0x0a, ...new Array(8).fill(0x80), 0x40]],
    ["tokenizer.model", new Array(64).fill(0xff)],
    // A piece of negative length, and one of two gigabytes.
    ["tok.bin", [255, 255, 255, 127, 0, 0, 0, 0, 255, 255, 255, 255]],
    ["tok.bin", [255, 255, 255, 127, 0, 0, 0, 0, 255, 255, 255, 127]],
    // A rank that would make an array of eight digits.
    ["ranks.tiktoken", [...new TextEncoder().encode("AA== 99999999\n")]],
  ];
  await inTemporaryFolder(async (folder) => {
    for (const [name, bytes] of hostile) {
      assert.equal(await loads(folder, name, Uint8Array.from(bytes)), false);
    }
  });
});
