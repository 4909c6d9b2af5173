/**
 * Rows that can be reached by number, and streams of them whose place can be written down.
 *
 * @module
 */

/**
 * Rows by number. What reads, converts, filters and tokenizes rows is a dataset around another one, so any row can be
 * made again from its number alone, and a place in the data is a few numbers.
 */
export interface Dataset<T> {
  /** What messages call it. */
  readonly name: string;
  /** How many rows there are, usable or not. */
  readonly count: number;
  /** Sizes of the blocks of rows that are read together; null where any row can be read on its own. */
  readonly blocks: readonly number[] | null;
  /** What a row gives: most often one item, none where it was filtered. Throws RowError where it is unusable. */
  read(index: number): Promise<readonly T[]>;
  /** Where a person finds a row, such as "rows.jsonl, line 17". */
  where(index: number): string;
  /** Closes files. */
  [Symbol.dispose](): void;
}

/**
 * Rows that are in memory already.
 *
 * @example
 * ```ts
 * import { rowsOf } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * const rows = rowsOf([{ text: "One." }, { text: "Two." }], "numbers");
 * assert.deepEqual(await rows.read(1), [{ text: "Two." }]);
 * assert.equal(rows.where(1), "numbers, row 2");
 * ```
 */
export function rowsOf<T>(items: Iterable<T>, name: string): Dataset<T> {
  const rows = [...items];
  return {
    name,
    count: rows.length,
    blocks: null,
    read: (index) => Promise.resolve([rows[index]]),
    where: (index) => `${name}, row ${index + 1}`,
    [Symbol.dispose]: () => {},
  };
}

/** The dataset in which each row is made of the row of the same number in another. */
export function mapRows<T, U>(
  dataset: Dataset<T>,
  change: (items: readonly T[], index: number) => readonly U[] | Promise<readonly U[]>,
): Dataset<U> {
  return {
    name: dataset.name,
    count: dataset.count,
    blocks: dataset.blocks,
    read: async (index) => await change(await dataset.read(index), index),
    where: (index) => dataset.where(index),
    [Symbol.dispose]: () => dataset[Symbol.dispose](),
  };
}

/** Several datasets, one after the other. */
export function concatRows<T>(datasets: readonly Dataset<T>[], name: string): Dataset<T> {
  const starts: number[] = [];
  let count = 0;
  for (const dataset of datasets) {
    starts.push(count);
    count += dataset.count;
  }
  const locate = (index: number): [Dataset<T>, number] => {
    // The last dataset that starts at or before the row; an empty one is never it.
    let low = 0, high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle] <= index) low = middle;
      else high = middle - 1;
    }
    return [datasets[low], index - starts[low]];
  };
  const inBlocks = datasets.some(({ blocks }) => blocks !== null);
  return {
    name,
    count,
    blocks: inBlocks ? datasets.flatMap((dataset) => dataset.blocks ?? [dataset.count]) : null,
    read(index) {
      const [dataset, row] = locate(index);
      return dataset.read(row);
    },
    where(index) {
      const [dataset, row] = locate(index);
      return dataset.where(row);
    },
    [Symbol.dispose]: () => datasets.forEach((dataset) => dataset[Symbol.dispose]()),
  };
}
