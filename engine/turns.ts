/**
 * Long work that lets others in.
 *
 * @module
 */

/**
 * Gives timers, sockets and signals a turn now and then in work that would otherwise keep the thread to itself. A turn
 * takes about 2 ms: only a thread that sleeps reads sockets and signals, and the shortest sleep is that of a timer.
 * Promises and `setImmediate` are not enough: a signal would wait for dozens of them.
 *
 * @example
 * ```ts
 * import { Turns } from "@denotron/denotron/engine";
 *
 * const turns = new Turns(20);
 * let sum = 0;
 * for (let i = 0; i < 1e5; i++) {
 *   sum += i;
 *   if (turns.isDue) await turns.give();
 * }
 * ```
 */
export class Turns {
  readonly #everyMs: number;
  #lastMs: number = performance.now();

  /** A turn at most every so many milliseconds. */
  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /** Whether it is time for a turn. */
  get isDue(): boolean {
    return performance.now() - this.#lastMs >= this.#everyMs;
  }

  /** Lets others in. */
  async give(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve));
    this.#lastMs = performance.now();
  }
}
