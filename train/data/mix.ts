/**
 * Several sources in one row, by weight.
 *
 * @module
 */
import { RandomKey } from "../../tensor/mod.ts";
import type { Json } from "../stage.ts";
import { type Cursor, stateMembers } from "./cursor.ts";
import { DataError } from "./errors.ts";

/** A source and its share. */
export interface MixPart<T> {
  /** Where its items come from. */
  readonly source: Cursor<T>;
  /** Its share, in proportion to the others'. */
  readonly weight: number;
}

/** How to mix. */
export interface MixOptions<T> {
  /** Decides which source is next (default 0). */
  readonly seed?: number;
  /**
   * What an item counts for, such as its tokens. Then the source that is furthest behind its share is next, so that the
   * shares of what items count for hold, within one item, whatever their sizes. Without it each item is drawn at random.
   */
  readonly size?: (item: T) => number;
}

/**
 * Items of several sources by weight. A source that has ended leaves its share to the others; a source without end keeps
 * the mixture going.
 *
 * @example
 * ```ts
 * import { mixStreams, rowsOf, streamRows } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * const [math, chat] = ["math", "chat"].map((name) => streamRows(rowsOf([name], name)));
 * const parts = [{ source: math, weight: 3 }, { source: chat, weight: 1 }];
 * const mixture = mixStreams(parts, { size: () => 1 });
 * const items = [];
 * for (let i = 0; i < 8; i++) items.push(await mixture.next());
 * assert.equal(items.filter((item) => item === "math").length, 6);
 * ```
 */
export function mixStreams<T>(
  parts: readonly MixPart<T>[],
  options: MixOptions<T> = {},
): MixedStream<T> {
  return new MixedStream(parts, options);
}

/** See {@linkcode mixStreams}. */
export class MixedStream<T> implements Cursor<T> {
  readonly #parts: readonly MixPart<T>[];
  readonly #size: ((item: T) => number) | undefined;
  readonly #key: RandomKey;
  #draws = 0;
  #taken: number[];
  #ended: boolean[];

  /** Throws DataError for weights that are not positive, and without sources. */
  constructor(parts: readonly MixPart<T>[], options: MixOptions<T> = {}) {
    if (parts.length === 0) {
      throw new DataError("mixStreams: there are no sources (0). Give at least one.");
    }
    for (const { weight } of parts) {
      if (weight > 0 && Number.isFinite(weight)) continue;
      throw new DataError(
        `mixStreams: a weight is ${weight} (above 0 expected). Leave out sources that are not wanted.`,
      );
    }
    this.#parts = parts;
    this.#size = options.size;
    this.#key = new RandomKey(options.seed ?? 0).derive("mix");
    this.#taken = parts.map(() => 0);
    this.#ended = parts.map(() => false);
  }

  /** What each source gave so far, in items or in what they count for. */
  get taken(): readonly number[] {
    return [...this.#taken];
  }

  /** The next item, of whichever source; null when all have ended. */
  async next(): Promise<T | null> {
    while (this.#ended.includes(false)) {
      const chosen = this.#size === undefined ? this.#draw() : this.#furthestBehind();
      const item = await this.#parts[chosen].source.next();
      if (item !== null) {
        this.#draws++;
        this.#taken[chosen] += this.#size?.(item) ?? 1;
        return item;
      }
      this.#ended[chosen] = true;
    }
    return null;
  }

  /** The place, with those of the sources. */
  state(): Json {
    return {
      draws: this.#draws,
      taken: [...this.#taken],
      ended: [...this.#ended],
      sources: this.#parts.map(({ source }) => source.state()),
    };
  }

  /** Goes to a place. Throws DataError where the mixture had another number of sources. */
  restore(state: Json): void {
    const names = ["draws", "taken", "ended", "sources"] as const;
    const { draws, taken, ended, sources } = stateMembers("mixStreams", state, names);
    const saved = sources as readonly Json[];
    if (saved.length !== this.#parts.length) {
      throw new DataError(
        `mixStreams: the mixture is not what the checkpoint was made with, ${this.#parts.length} ` +
          `sources (${saved.length} then). Give the same sources, or begin a new run.`,
      );
    }
    this.#draws = Number(draws);
    this.#taken = [...taken as readonly number[]];
    this.#ended = [...ended as readonly boolean[]];
    this.#parts.forEach(({ source }, i) => source.restore(saved[i]));
  }

  /** Draws a source by its weight among those that have not ended. */
  #draw(): number {
    const live = this.#live();
    const total = live.reduce((sum, i) => sum + this.#parts[i].weight, 0);
    let left = this.#key.uniform(this.#draws) * total;
    for (const i of live) {
      left -= this.#parts[i].weight;
      if (left < 0) return i;
    }
    return live[live.length - 1]; // rounding
  }

  /** The source for which what it gave, in proportion to its weight, is least. */
  #furthestBehind(): number {
    const given = (i: number): number => this.#taken[i] / this.#parts[i].weight;
    return this.#live().reduce((best, i) => given(i) < given(best) ? i : best);
  }

  #live(): number[] {
    return this.#ended.flatMap((ended, i) => ended ? [] : [i]);
  }
}
