/**
 * A dataset in the order of training: shuffled anew in every epoch.
 *
 * @module
 */
import { permutation, RandomKey } from "../../tensor/mod.ts";
import type { Json } from "../stage.ts";
import { type Cursor, stateMembers } from "./cursor.ts";
import type { Dataset } from "./dataset.ts";
import { DataError, RowError } from "./errors.ts";

/** What happens at a row that cannot be used. */
export type BadRowPolicy = "stop" | "skip";

/** How to go through a dataset. */
export interface StreamOptions {
  /** Decides the order (default 0). */
  readonly seed?: number;
  /** Whether rows come in random order (default true). */
  readonly shuffle?: boolean;
  /** How often to go through all rows (default: without end). */
  readonly epochs?: number;
  /** What to do at a row that cannot be used (default stop). */
  readonly onBadRow?: BadRowPolicy;
  /** Told why a row is skipped, in the first epoch. */
  readonly warn?: (message: string) => void;
}

/**
 * The items of a dataset, epoch after epoch, as a cursor.
 *
 * The order of an epoch is a uniform permutation of all rows, drawn from the seed and the epoch: 4 bytes a row. A
 * dataset in blocks (row groups of Parquet) is read block by block: blocks in random order, and in each the rows.
 *
 * @example
 * ```ts
 * import { rowsOf, streamRows } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * const letters = rowsOf(["a", "b", "c"], "letters");
 * const stream = streamRows(letters, { seed: 1, epochs: 1 });
 * const first = await stream.next();
 * const other = streamRows(letters, { seed: 1, epochs: 1 });
 * other.restore(stream.state());
 * const rest = [await other.next(), await other.next()];
 * assert.deepEqual([first, ...rest].toSorted(), ["a", "b", "c"]);
 * assert.equal(await other.next(), null);
 * ```
 */
export function streamRows<T>(dataset: Dataset<T>, options: StreamOptions = {}): RowStream<T> {
  return new RowStream(dataset, options);
}

/** See {@linkcode streamRows}. */
export class RowStream<T> implements Cursor<T> {
  readonly #dataset: Dataset<T>;
  readonly #options: StreamOptions;
  readonly #key: RandomKey;
  #epoch = 0;
  /** Rows of this epoch that are behind. */
  #position = 0;
  /** Items of the current row that are behind. */
  #item = 0;
  #items: readonly T[] | null = null;
  #order: { readonly epoch: number; readonly rows: Uint32Array } | null = null;
  /** Whether this epoch gave anything: one that gives nothing would be followed by others without end. */
  #fruitful = false;
  #skipped = 0;

  /** Throws DataError for a dataset without rows. */
  constructor(dataset: Dataset<T>, options: StreamOptions = {}) {
    if (dataset.count === 0) {
      throw new DataError(`${dataset.name}: there are no rows (0). Give data with rows in it.`);
    }
    this.#dataset = dataset;
    this.#options = options;
    this.#key = new RandomKey(options.seed ?? 0).derive("rows");
  }

  /** Rows that were skipped since this stream was made. */
  get skipped(): number {
    return this.#skipped;
  }

  /** The epoch that the next item belongs to, from 0; with the rows behind in it, the place to report. */
  get epoch(): number {
    return this.#epoch + this.#position / this.#dataset.count;
  }

  /** The next item. Throws RowError where a row cannot be used, DataError where no row of an epoch can. */
  async next(): Promise<T | null> {
    while (this.#epoch < (this.#options.epochs ?? Infinity)) {
      if (this.#position === this.#dataset.count) {
        this.#endEpoch();
        continue;
      }
      this.#items ??= await this.#readRow(this.#rowAt(this.#position));
      if (this.#item < this.#items.length) {
        this.#fruitful = true;
        return this.#items[this.#item++];
      }
      this.#position++;
      this.#item = 0;
      this.#items = null;
    }
    return null;
  }

  /** The place: a few numbers. */
  state(): Json {
    const [epoch, position, item] = [this.#epoch, this.#position, this.#item];
    return { rows: this.#dataset.count, epoch, position, item };
  }

  /** Goes to a place. Throws DataError where the dataset has another number of rows than it had. */
  restore(state: Json): void {
    const names = ["rows", "epoch", "position", "item"] as const;
    const { rows, epoch, position, item } = stateMembers("streamRows", state, names);
    if (rows !== this.#dataset.count) {
      throw new DataError(
        `${this.#dataset.name}: the data is not what the checkpoint was made with, ` +
          `${this.#dataset.count} rows (${rows} then). Give the same files, or begin a new run.`,
      );
    }
    this.#epoch = Number(epoch);
    this.#position = Number(position);
    this.#item = Number(item);
    this.#items = null;
    this.#fruitful = this.#position > 0 || this.#item > 0;
  }

  #endEpoch(): void {
    if (!this.#fruitful) {
      throw new DataError(
        `${this.#dataset.name}: no row can be used (${this.#dataset.count} read). ` +
          "Look at why rows are skipped; filters and the context length count too.",
      );
    }
    this.#epoch++;
    this.#position = 0;
    this.#fruitful = false;
  }

  async #readRow(index: number): Promise<readonly T[]> {
    try {
      return await this.#dataset.read(index);
    } catch (error) {
      if (!(error instanceof RowError) || this.#options.onBadRow !== "skip") throw error;
      this.#skipped++;
      if (this.#epoch === 0) this.#options.warn?.(error.message);
      return [];
    }
  }

  #rowAt(position: number): number {
    if (this.#options.shuffle === false) return position;
    if (this.#order?.epoch !== this.#epoch) {
      const rows = shuffledRows(this.#dataset, this.#key.derive(this.#epoch));
      this.#order = { epoch: this.#epoch, rows };
    }
    return this.#order.rows[position];
  }
}

function shuffledRows({ count, blocks }: Dataset<unknown>, key: RandomKey): Uint32Array {
  if (blocks === null) return permutation(count, key);
  const starts: number[] = [];
  let start = 0;
  for (const size of blocks) {
    starts.push(start);
    start += size;
  }
  const rows = new Uint32Array(count);
  let filled = 0;
  for (const block of permutation(blocks.length, key.derive("blocks"))) {
    const order = permutation(blocks[block], key.derive(block));
    order.forEach((row) => rows[filled++] = starts[block] + row);
  }
  return rows;
}
