/**
 * Rows left out: those that a predicate refuses, those that came before, and those that a held-out set contains.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { type Dataset, mapRows } from "./dataset.ts";
import { RowError } from "./errors.ts";
import { isChat, isCompletion, type Row } from "./rows.ts";

/**
 * Only the items that a predicate accepts, such as those whose answer a verifier finds right. It is asked when a row is
 * read, and must give the same answer each time.
 *
 * @example
 * ```ts
 * import { filterRows, rowsOf } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * const rows = filterRows(rowsOf([1, 2], "numbers"), (number) => number > 1);
 * assert.deepEqual([await rows.read(0), await rows.read(1)], [[], [2]]);
 * ```
 */
export function filterRows<T>(
  dataset: Dataset<T>,
  keep: (item: T) => boolean | Promise<boolean>,
): Dataset<T> {
  return mapRows(dataset, async (items) => {
    const kept: T[] = [];
    for (const item of items) if (await keep(item)) kept.push(item);
    return kept;
  });
}

/**
 * Rows without exact copies of earlier ones: same conversation, completion or text, whatever their other fields say.
 * Reads all rows once; memory is about 100 bytes a row while it does. `tell` gets a line with the count.
 */
export async function withoutDuplicates(
  dataset: Dataset<Row>,
  tell?: (line: string) => void,
): Promise<Dataset<Row>> {
  const seen = new Set<string>(), duplicates = new Set<string>();
  for (let index = 0; index < dataset.count; index++) {
    const rows = await readable(dataset, index);
    rows.forEach((row, item) => {
      const hash = hashOf(row);
      if (seen.has(hash)) duplicates.add(`${index}/${item}`);
      else seen.add(hash);
    });
  }
  tell?.(`${dataset.name}: ${duplicates.size} duplicates left out of ${dataset.count} rows`);
  return mapRows(
    dataset,
    (rows, index) => rows.filter((_, item) => !duplicates.has(`${index}/${item}`)),
  );
}

/** The rows at an index, none where they are wrong: whoever trains on them is told then. */
async function readable(dataset: Dataset<Row>, index: number): Promise<readonly Row[]> {
  try {
    return await dataset.read(index);
  } catch (error) {
    if (!(error instanceof RowError)) throw error;
    return [];
  }
}

function hashOf(row: Row): string {
  const content = isChat(row)
    ? ["chat", row.messages, row.tools ?? []]
    : isCompletion(row)
    ? ["completion", row.prompt, row.completion]
    : ["text", row.text];
  // 96 bits: two rows of a billion meet by chance with a probability below 10⁻¹⁰.
  return createHash("sha256").update(JSON.stringify(content)).digest("base64").slice(0, 16);
}

/**
 * Rows that share no run of `words` words with a held-out text (Brown et al., "Language models are few-shot learners",
 * 2020, appendix C, with its 13 words). Case and punctuation do not count; a held-out text with fewer words counts where
 * it is the whole of a row's text or message. Memory grows with the held-out texts, not with the rows.
 */
export function withoutOverlap(
  dataset: Dataset<Row>,
  heldOut: Iterable<string>,
  { words = 13 }: { readonly words?: number } = {},
): Dataset<Row> {
  const runs = new Set<string>();
  for (const text of heldOut) for (const run of wordRuns(text, words)) runs.add(run);
  const overlaps = (text: string): boolean => wordRuns(text, words).some((run) => runs.has(run));
  return filterRows(dataset, (row) => !rowTexts(row).some(overlaps));
}

/** The runs of so many words of a text; the whole text where it has fewer. */
function wordRuns(text: string, words: number): string[] {
  const all = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  if (all.length <= words) return all.length === 0 ? [] : [all.join(" ")];
  return Array.from(
    { length: all.length - words + 1 },
    (_, start) => all.slice(start, start + words).join(" "),
  );
}

/** The texts of a row, such as each message of a conversation. */
export function rowTexts(row: Row): string[] {
  if (isChat(row)) {
    return row.messages.flatMap(({ content }) => typeof content === "string" ? [content] : []);
  }
  return isCompletion(row) ? [row.prompt, row.completion] : [String(row.text)];
}
