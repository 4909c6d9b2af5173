/**
 * From easy prompts to hard ones.
 *
 * @module
 */
import { permutation, RandomKey } from "../../tensor/mod.ts";
import { type Cursor, stateMembers } from "../data/cursor.ts";
import { DataError } from "../data/errors.ts";
import type { Json } from "../stage.ts";

/** Something and how often a model gets it right. */
export interface Rated<T> {
  /** Such as a row with a question. */
  readonly row: T;
  /** From 0, hard, to 1, easy. */
  readonly passRate: number;
}

/** What is too easy to learn from is left out: pass rates of `limit` and above, 0.75 in Llama-Nemotron. */
export function withoutEasy<T>(rated: readonly Rated<T>[], limit = 0.75): Rated<T>[] {
  return rated.filter(({ passRate }) => passRate < limit);
}

/** How a curriculum moves. */
export interface CurriculumOptions {
  /** Rows of a batch. */
  readonly batch: number;
  /** Batches until the mean has gone its way; it stays where it is then. */
  readonly batches: number;
  /** The mean pass rate that batches aim at, after a share of the way from 0 to 1; by default from 0.75 down to 0, evenly. */
  readonly mean?: (progress: number) => number;
  /** The standard deviation of the pass rates that a batch aims at; 0.15 by default. */
  readonly width?: number;
  /** Into how many ranges pass rates are sorted; 8 by default. */
  readonly bins?: number;
  /** How often to go through all rows (default: without end). */
  readonly epochs?: number;
  /** Decides the order within bins and batches; 0 by default. */
  readonly seed?: number;
}

/** The share that each bin has in a batch around a mean pass rate: a Gaussian at the centres of the bins, [bins]. */
export function gaussianShares(mean: number, width: number, bins: number): number[] {
  const distances = Array.from({ length: bins }, (_, bin) => ((bin + 0.5) / bins - mean) / width);
  // The nearest bin is the largest, however narrow the Gaussian is.
  const nearest = Math.min(...distances.map(Math.abs));
  const weights = distances.map((distance) => Math.exp((nearest ** 2 - distance ** 2) / 2));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** Shares of a batch in whole numbers: rounded down, and the rest to those that lost the most by it. */
export function apportion(batch: number, shares: readonly number[]): number[] {
  const wholes = shares.map((share) => Math.floor(share * batch));
  const missing = batch - wholes.reduce((sum, count) => sum + count, 0);
  const lost = (bin: number): number => shares[bin] * batch - wholes[bin];
  const order = shares.map((_, bin) => bin).sort((a, b) => lost(b) - lost(a) || a - b);
  for (const bin of order.slice(0, missing)) wholes[bin]++;
  return wholes;
}

/**
 * How many rows a batch takes from each bin: its share, as far as there are rows; what is then missing, one after the other
 * from the bin that has the most left, with the larger share where bins have the same left.
 *
 * @example
 * ```ts
 * import { allocate } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(allocate(8, [0.5, 0.5, 0], [10, 2, 3]), [6, 2, 0]);
 * ```
 */
export function allocate(
  batch: number,
  shares: readonly number[],
  available: readonly number[],
): number[] {
  const taken = apportion(batch, shares).map((count, bin) => Math.min(count, available[bin]));
  let missing = batch - taken.reduce((sum, count) => sum + count, 0);
  while (missing-- > 0) {
    const left = available.map((count, bin) => count - taken[bin]);
    const most = Math.max(...left);
    if (most === 0) break;
    // Of pools of the same size, the one nearest to the aim.
    const largest = left.flatMap((count, bin) => count === most ? [bin] : []);
    taken[largest.reduce((a, b) => shares[b] > shares[a] ? b : a)]++;
  }
  return taken;
}

/**
 * Rows in batches whose pass rates are distributed like a Gaussian, which moves from easy to hard (Llama-Nemotron, section
 * 5.1). No row comes twice before all have come once. Within a batch the order is random.
 *
 * @example
 * ```ts
 * import { GaussianCurriculum } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * const rated = [0, 0.2, 0.4, 0.6].map((passRate) => ({ row: passRate, passRate }));
 * const curriculum = new GaussianCurriculum(rated, { batch: 1, batches: 4, width: 0.05, epochs: 1 });
 * const order = [];
 * for (let row = await curriculum.next(); row !== null; row = await curriculum.next()) order.push(row);
 * assert.deepEqual(order, [0.6, 0.4, 0.2, 0]);
 * ```
 */
export class GaussianCurriculum<T> implements Cursor<T> {
  readonly #pools: readonly (readonly T[])[];
  readonly #options: Required<CurriculumOptions>;
  readonly #key: RandomKey;
  #batch = 0;
  #epoch = 0;
  /** Rows of each bin that earlier batches of this epoch took. */
  #taken: number[];
  /** Rows of the current batch that are behind. */
  #position = 0;
  /** The current batch and what it takes from each bin; made again where it is missing. */
  #current: { readonly rows: readonly T[]; readonly counts: readonly number[] } | null = null;

  /** Throws DataError without rows, or for a pass rate outside of 0 to 1. */
  constructor(rated: readonly Rated<T>[], options: CurriculumOptions) {
    const { bins = 8, seed = 0 } = options;
    const wrong = rated.find(({ passRate }) => !(passRate >= 0 && passRate <= 1));
    if (wrong || rated.length === 0) {
      throw new DataError(
        `curriculum: rows with pass rates from 0 to 1 are needed (${
          wrong?.passRate ?? "no rows"
        }).`,
      );
    }
    const mean = (progress: number): number => 0.75 * (1 - progress);
    this.#options = { mean, width: 0.15, bins, epochs: Infinity, seed, ...options };
    this.#key = new RandomKey(seed).derive("curriculum");
    const binOf = (passRate: number): number => Math.min(bins - 1, Math.floor(passRate * bins));
    this.#pools = Array.from(
      { length: bins },
      (_, bin) => rated.filter(({ passRate }) => binOf(passRate) === bin).map(({ row }) => row),
    );
    this.#taken = this.#pools.map(() => 0);
  }

  /** The next row; null when all epochs are over. */
  next(): Promise<T | null> {
    this.#current ??= this.#plan();
    if (this.#current && this.#position === this.#current.rows.length) {
      this.#taken = this.#taken.map((count, bin) => count + this.#current!.counts[bin]);
      this.#batch++;
      this.#position = 0;
      this.#current = this.#plan();
    }
    return Promise.resolve(this.#current ? this.#current.rows[this.#position++] : null);
  }

  /** The batch that follows what was taken; null when all epochs are over. */
  #plan(): { rows: readonly T[]; counts: readonly number[] } | null {
    if (this.#pools.every((pool, bin) => this.#taken[bin] === pool.length)) {
      this.#epoch++;
      this.#taken = this.#pools.map(() => 0);
    }
    const { batch, batches, mean, width, bins, epochs } = this.#options;
    if (this.#epoch >= epochs) return null;
    const progress = Math.min(1, this.#batch / Math.max(1, batches - 1));
    const available = this.#pools.map((pool, bin) => pool.length - this.#taken[bin]);
    const counts = allocate(batch, gaussianShares(mean(progress), width, bins), available);
    const rows = counts.flatMap((count, bin) => {
      const pool = this.#pools[bin], start = this.#taken[bin];
      if (count === 0) return [];
      const order = permutation(
        pool.length,
        this.#key.derive("bin").derive(this.#epoch).derive(bin),
      );
      return Array.from(order.subarray(start, start + count), (place) => pool[place]);
    });
    const order = permutation(rows.length, this.#key.derive("batch").derive(this.#batch));
    return { rows: Array.from(order, (place) => rows[place]), counts };
  }

  /** The place. */
  state(): Json {
    return {
      batch: this.#batch,
      epoch: this.#epoch,
      taken: this.#taken,
      position: this.#position,
    };
  }

  /** Goes to a place. */
  restore(state: Json): void {
    const names = ["batch", "epoch", "taken", "position"] as const;
    const members = stateMembers("curriculum", state, names), taken = members.taken as number[];
    if (
      taken.length !== this.#pools.length ||
      taken.some((count, bin) => count > this.#pools[bin].length)
    ) {
      throw new DataError(
        `curriculum: the state is of other rows or bins (${taken.length} vs ${this.#pools.length}). ` +
          "Resume with the pass rates and options that the checkpoint was made with.",
      );
    }
    this.#batch = members.batch as number;
    this.#epoch = members.epoch as number;
    this.#position = members.position as number;
    this.#taken = [...taken];
    this.#current = null;
  }
}
