import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { DataError, openRows, streamRows, tokenizeRows } from "../../../train/data/mod.ts";
import { gzip, smallTokenizer, take, withFiles } from "./support.ts";

const tokenizer = smallTokenizer();

/** Whatever a file holds, opening and reading it gives rows or a DataError, never another error or an endless loop. */
async function readAnything(name: string, content: Uint8Array): Promise<void> {
  await withFiles({ [name]: content }, async (folder) => {
    try {
      using rows = await openRows([join(folder, name)], { pieceBytes: 16 });
      const tokens = tokenizeRows(rows, { tokenizer, context: 32, tooLong: "truncate" });
      await take(streamRows(tokens, { epochs: 1, onBadRow: "skip" }), 200);
    } catch (error) {
      assert.ok(error instanceof DataError, `${error}`);
      assert.match(error.message, /\.$/);
    }
  });
}

const names = fc.constantFrom("a.jsonl", "a.json", "a.txt", "a.bin", "a.parquet", "a.jsonl.gz");
const bytes = fc.uint8Array({ maxLength: 200 });
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

Deno.test("random bytes under any name are rows or a DataError", async () => {
  await fc.assert(fc.asyncProperty(names, bytes, readAnything));
});

Deno.test("bytes that begin like a known format are rows or a DataError", async () => {
  const heads = fc.constantFrom("PAR1", "[", "[[", "{", '[{"text":', '{"text": "', "\x1f\x8b\x08");
  await fc.assert(fc.asyncProperty(names, heads, bytes, async (name, head, rest) => {
    const begin = Uint8Array.from(head, (character) => character.charCodeAt(0));
    await readAnything(name, Uint8Array.of(...begin, ...rest));
  }));
});

Deno.test("any JSON under the names of known fields is rows or a DataError", async () => {
  const fields = fc.constantFrom(
    ...["messages", "conversations", "prompt", "completion", "instruction", "input", "output"],
    ...["question", "answer", "problem", "generated_solution", "expected_answer", "text"],
    ...["tools", "system", "reasoning", "weight", "role", "content", "from", "value", "type"],
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom("user", "assistant", "human", "gpt", "function_call", "on", "[]", "#### 4"),
      fc.jsonValue({ maxDepth: 0 }),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(fields, tie("value"), { maxKeys: 5 }),
    ),
  }));
  const rows = fc.array(fc.dictionary(fields, value, { maxKeys: 6 }), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(rows, fc.boolean(), async (list, asLines) => {
      const lines = list.map((row) => JSON.stringify(row)).join("\n");
      await readAnything("a.json", utf8(asLines ? lines : JSON.stringify(list)));
    }),
    { numRuns: 300 },
  );
});

Deno.test("a good file with some bytes changed is rows or a DataError", async () => {
  const golden = fileURLToPath(new URL("../../golden/parquet/zstd.parquet", import.meta.url));
  const good = [
    ["a.parquet", await Deno.readFile(golden)],
    ["a.jsonl.gz", await gzip('{"text": "one"}\n{"text": "two"}\n')],
    ["a.json", utf8('[{"prompt": "a", "completion": "é\\"["}, {"prompt": "", "completion": "b"}]')],
  ] as const;
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...good), changes, async ([name, content], changed) => {
      const spoiled = content.slice();
      for (const [at, byte] of changed) spoiled[at % spoiled.length] = byte;
      await readAnything(name, spoiled);
    }),
    { numRuns: 200 },
  );
});
