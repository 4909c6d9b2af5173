import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { DataError, openRows, RowError, streamRows } from "../../../train/data/mod.ts";
import { gzip, readAll, rowsOfFile, take, withFiles } from "./support.ts";

const texts = [{ text: "One." }, { text: "Two: “é”." }, { text: "Three." }];
const jsonLines = texts.map((row) => JSON.stringify(row)).join("\n");

Deno.test("JSON Lines give a row a line, with or without a last line break, blank lines none", async () => {
  assert.deepEqual(await rowsOfFile("rows.jsonl", jsonLines), texts);
  assert.deepEqual(await rowsOfFile("rows.jsonl", `${jsonLines}\n`), texts);
  assert.deepEqual(await rowsOfFile("rows.jsonl", jsonLines.replaceAll("\n", "\r\n\r\n")), texts);
  assert.deepEqual(await rowsOfFile("rows.jsonl", `\ufeff${jsonLines}`), texts);
  assert.deepEqual(await rowsOfFile("rows", jsonLines), texts);
});

Deno.test("a JSON array gives a row an element, however it is laid out", async () => {
  assert.deepEqual(await rowsOfFile("rows.json", JSON.stringify(texts)), texts);
  assert.deepEqual(await rowsOfFile("rows.json", ` ${JSON.stringify(texts, null, 2)}\n`), texts);
  const nested = [{ text: 'a]",[{\\"', deep: { list: [[1], []] } }, { text: "b\\" }];
  assert.deepEqual(await rowsOfFile("rows.json", JSON.stringify(nested)), nested);
  assert.deepEqual(await rowsOfFile("rows.json", jsonLines), texts);
});

Deno.test("a plain text is a document, or several where a separator is given", async () => {
  const text = "First line.\n\nSecond line.\n";
  assert.deepEqual(await rowsOfFile("a.txt", text), [{ text }]);
  assert.deepEqual(await rowsOfFile("a.txt", "[not JSON"), [{ text: "[not JSON" }]);
  const documents = "One.<|end|>Two.<|end|>\n";
  assert.deepEqual(await rowsOfFile("a.txt", documents, { separator: "<|end|>" }), [
    { text: "One." },
    { text: "Two." },
  ]);
});

Deno.test("a long text comes in pieces that join to the whole and end with lines or characters", async () => {
  const text = "Zeile für Zeile.\n".repeat(40) + "é".repeat(300);
  for (const pieceBytes of [7, 64, 100, 1000]) {
    const pieces = await rowsOfFile("a.txt", text, { pieceBytes });
    assert.equal(pieces.map((piece) => piece.text).join(""), text);
    assert.ok(pieces.every((piece) => !String(piece.text).includes("\ufffd")));
    const begins = pieces.map(({ continues = false }) => continues);
    const ends = pieces.map(({ continued = false }) => continued);
    assert.deepEqual(begins, pieces.map((_, i) => i > 0));
    assert.deepEqual(ends, pieces.map((_, i) => i + 1 < pieces.length));
  }
  const separated = await rowsOfFile("a.txt", `${"x".repeat(25)}||${"y".repeat(5)}`, {
    separator: "||",
    pieceBytes: 10,
  });
  assert.deepEqual(separated.map(({ continues = false }) => continues), [false, true, true, false]);
});

Deno.test("a folder gives the rows of its files by name, also of folders in it, not of hidden files", async () => {
  const files = {
    "b.jsonl": '{"text": "b"}',
    "a/2.jsonl": '{"text": "a2"}\n\n{"text": "a3"}',
    "a/1.json": '[{"text": "a1"}]',
    ".hidden": "x",
  };
  await withFiles(files, async (folder) => {
    using rows = await openRows([folder, join(folder, "b.jsonl")]);
    assert.deepEqual((await readAll(rows)).map(({ text }) => text), ["a1", "a2", "a3", "b", "b"]);
    assert.equal(rows.where(3), `${join(folder, "a/2.jsonl")}, line 3`);
  });
});

Deno.test("gzip is unpacked, files of several members too, and leaves nothing behind", async () => {
  assert.deepEqual(await rowsOfFile("rows.jsonl.gz", await gzip(jsonLines)), texts);
  const members = [await gzip(`${jsonLines}\n`), await gzip(jsonLines)];
  const joined = new Uint8Array(await new Blob(members as BlobPart[]).arrayBuffer());
  assert.deepEqual(await rowsOfFile("rows.jsonl.gz", joined), [...texts, ...texts]);
  assert.deepEqual(await rowsOfFile("a.txt.gz", await gzip("Hi.")), [{ text: "Hi." }]);
  await withFiles({ "gone.jsonl.gz": await gzip(jsonLines) }, async (folder) => {
    using _ = await openRows([folder]);
    const left = [...Deno.readDirSync(dirname(folder))].filter(({ name }) =>
      name.includes("gone.")
    );
    assert.deepEqual(left, []);
  });
});

Deno.test("which format was detected is said for each file", async () => {
  const files = { "a.jsonl": jsonLines, "b.json": '[{"question": "1+1?", "answer": "#### 2"}]' };
  await withFiles(files, async (folder) => {
    const told: string[] = [];
    using _ = await openRows([folder], { tell: (line) => told.push(line) });
    assert.deepEqual(told, [
      `${join(folder, "a.jsonl")}: JSON Lines, 3 rows, text`,
      `${join(folder, "b.json")}: JSON array, 1 rows, question and answer`,
    ]);
  });
});

/** Files that cannot be rows at all, and what is said about them after their name. */
const hopeless: readonly [name: string, content: string | Uint8Array, message: string][] = [
  ["empty.jsonl", "", ": the file is empty (0 bytes). Give one with rows in it."],
  ["blank.jsonl", "\n \n", ": it has no rows (2 blank). Give some."],
  ["none.json", "[]", ": it has no rows (0 blank). Give some."],
  [
    "cut.json",
    '[{"text": "a"},',
    ": it begins as a JSON array but does not end as one (15 bytes). " +
    "Copy the file again, whole, or write one JSON object a line and call it .jsonl.",
  ],
  [
    "pair.jsonl",
    '{"chosen": "a", "rejected": "b"}',
    ", line 1: the format is unknown, fields chosen, rejected. Rows have one of: messages; " +
    "conversations; prompt + completion; instruction + output; input + output; question + answer; " +
    "problem + generated_solution; problem + expected_answer; prompt; text.",
  ],
  [
    "cut.jsonl.gz",
    Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0),
    ": gzip cannot unpack it, unexpected end of file. Copy the file again, whole.",
  ],
  [
    "wide.jsonl",
    Uint8Array.of(0xff, 0xfe, 0x7b, 0),
    ": it is UTF-16. Save it as UTF-8.",
  ],
  [
    "image.bin",
    Uint8Array.of(1, 2, 0, 3),
    ": it is neither text nor Parquet (a zero byte at 2). " +
    "Give JSON Lines, a JSON array, Parquet or plain text.",
  ],
];

for (const [name, content, message] of hopeless) {
  Deno.test(`${name} is refused with what is wrong and what to do`, async () => {
    await withFiles({ [name]: content }, async (folder) => {
      const path = join(folder, name);
      await assert.rejects(openRows([path]), { name: "DataError", message: path + message });
    });
  });
}

Deno.test("a missing file and a folder without files are named", async () => {
  await withFiles({ ".hidden": "" }, async (folder) => {
    const path = join(folder, "no.jsonl");
    await assert.rejects(openRows([path]), {
      name: "DataError",
      message: `${path}: there is no such file or folder. Check the path.`,
    });
    await assert.rejects(openRows([folder]), {
      name: "DataError",
      message: `${folder}: the folder has no files (0). Give one with data in it.`,
    });
  });
});

Deno.test("a malformed line is named with its number, or skipped", async () => {
  const lines = [
    '{"text": "a"}',
    '{"text": "b"',
    "[]",
    '{"text": 3}',
    '{"prompt": "c"}',
    '{"text": "d"}',
  ];
  await withFiles({ "rows.jsonl": lines.join("\n") }, async (folder) => {
    using rows = await openRows([join(folder, "rows.jsonl")]);
    const skip = "Correct it, or skip such rows with --on-bad-row skip.";
    const errors: string[] = [];
    const stream = streamRows(rows, {
      shuffle: false,
      epochs: 1,
      onBadRow: "skip",
      warn: (message) => errors.push(message.slice(folder.length + 1)),
    });
    assert.deepEqual(await take(stream), [{ text: "a" }, { text: "d" }]);
    assert.equal(stream.skipped, 4);
    assert.match(
      errors[0],
      /^rows\.jsonl, line 2: it is not JSON, .*\. Correct it, or skip such rows/,
    );
    assert.deepEqual(errors.slice(1), [
      `rows.jsonl, line 3: it is a list, the file's rows are text. ${skip}`,
      `rows.jsonl, line 4: "text" is a number. Make it a text.`,
      `rows.jsonl, line 5: it has no "text", the file's rows are text. ${skip}`,
    ]);
    const strict = streamRows(rows, { shuffle: false });
    assert.deepEqual(await strict.next(), { text: "a" });
    await assert.rejects(strict.next(), RowError);
  });
});

Deno.test("a file whose first line is wrong has the format of its first good one", async () => {
  await withFiles({ "rows.jsonl": '{"nothing": 1}\n{"text": "a"}' }, async (folder) => {
    using rows = await openRows([folder]);
    await assert.rejects(rows.read(0), RowError);
    assert.deepEqual(await rows.read(1), [{ text: "a" }]);
  });
});

Deno.test("bytes that are not UTF-8 make a bad row, not a bad file", async () => {
  const bytes = Uint8Array.of(
    ...new TextEncoder().encode('{"text": "a"}\n{"text": "'),
    0xff,
    0x22,
    0x7d,
  );
  await withFiles({ "rows.jsonl": bytes }, async (folder) => {
    using rows = await openRows([folder]);
    assert.deepEqual(await rows.read(0), [{ text: "a" }]);
    await assert.rejects(
      rows.read(1),
      /line 2: it is not UTF-8 \(13 bytes\)\. Save the file as UTF-8\./,
    );
  });
});

Deno.test("errors about data are DataErrors", () => {
  assert.ok(new RowError("row") instanceof DataError);
});
