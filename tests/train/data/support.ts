/**
 * Files that are gone afterwards, a small tokenizer, and cursors read on.
 *
 * @module
 */
import { join } from "node:path";
import { type Tokenizer, trainBpe } from "../../../text/mod.ts";
import { type Cursor, type Dataset, openRows, type Row } from "../../../train/data/mod.ts";

/** A folder with the given files, for as long as `body` runs. */
export async function withFiles(
  files: Readonly<Record<string, string | Uint8Array>>,
  body: (folder: string) => void | Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "denotron-test-" });
  try {
    for (const [name, content] of Object.entries(files)) {
      const path = join(folder, name);
      await Deno.mkdir(join(path, ".."), { recursive: true });
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      await Deno.writeFile(path, bytes);
    }
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** All rows of a file with this name and content, in order. */
export async function rowsOfFile(
  name: string,
  content: string | Uint8Array,
  options: Parameters<typeof openRows>[1] = {},
): Promise<Row[]> {
  const rows: Row[] = [];
  await withFiles({ [name]: content }, async (folder) => {
    using dataset = await openRows([join(folder, name)], options);
    rows.push(...await readAll(dataset));
  });
  return rows;
}

/** All items of a dataset, in order. */
export async function readAll<T>(dataset: Dataset<T>): Promise<T[]> {
  const items: T[] = [];
  for (let index = 0; index < dataset.count; index++) items.push(...await dataset.read(index));
  return items;
}

/** At most `count` things from a cursor. */
export async function take<T>(
  cursor: Pick<Cursor<T>, "next">,
  count: number = Infinity,
): Promise<T[]> {
  const things: T[] = [];
  while (things.length < count) {
    const thing = await cursor.next();
    if (thing === null) break;
    things.push(thing);
  }
  return things;
}

/** What a tool packs with gzip. */
export async function gzip(content: string): Promise<Uint8Array> {
  const stream = new Blob([content]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A byte-level tokenizer with a beginning and an end of sequence. */
export function smallTokenizer(): Tokenizer {
  return trainBpe(["the answer is four, what is two and two"], {
    vocabularySize: 290,
    specialTokens: ["<s>", "</s>"],
    bos: "<s>",
    eos: "</s>",
  }).tokenizer();
}
