/**
 * Steps that would do harm.
 *
 * @module
 */
import type { Json } from "./stage.ts";

/** When a step is left out. */
export interface GuardOptions {
  /**
   * A loss is a spike when it is so many deviations above the median of recent ones, where a deviation is the median
   * distance from that median, and 5 % of it (of 1 where it is less) besides. 10 by default; Infinity lets all finite
   * losses pass, as is right for losses that are near zero by nature.
   */
  readonly spikeFactor?: number;
  /** How many recent losses are looked at; spikes are found once half of them are there. 32 by default. */
  readonly window?: number;
  /** The run ends when so many steps in a row were left out; 10 by default. */
  readonly maxSkips?: number;
}

/** The loss or the gradients of too many steps in a row were useless. */
export class DivergedError extends Error {
  /** The name that messages begin with. */
  override name = "DivergedError";
}

/**
 * Finds losses and gradients that are not finite, and losses far above the recent ones. A spike is among the recent losses
 * from then on, so that a loss that stays high is the normal one after half a window, if `maxSkips` allows that many.
 *
 * @example
 * ```ts
 * import { StepGuard } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 * const guard = new StepGuard({ window: 4 });
 * for (const loss of [3, 2.9, 2.8]) assert.equal(guard.check(loss, 1), null);
 * assert.match(guard.check(30, 1)!, /the loss is 30\.00/);
 * assert.match(guard.check(2.7, NaN)!, /gradient norm is NaN/);
 * ```
 */
export class StepGuard {
  readonly #options: Required<GuardOptions>;
  #recent: number[] = [];
  #skips = 0;

  /** A guard that has seen nothing. */
  constructor({ spikeFactor = 10, window = 32, maxSkips = 10 }: GuardOptions = {}) {
    this.#options = { spikeFactor, window, maxSkips };
  }

  /** The largest loss that is no spike; ∞ while there are too few to compare with. */
  get largestLoss(): number {
    if (2 * this.#recent.length < this.#options.window) return Infinity;
    const middle = median(this.#recent);
    const deviation = median(this.#recent.map((other) => Math.abs(other - middle)));
    const slack = 0.05 * Math.max(1, Math.abs(middle)); // else steady losses make spikes of harmless ones
    return middle + this.#options.spikeFactor * (deviation + slack);
  }

  /** Why a step with this loss and gradient norm should be left out; null when it is fine. Throws DivergedError. */
  check(loss: number, gradNorm: number): string | null {
    const reason = this.#reason(loss, gradNorm);
    if (Number.isFinite(loss)) {
      this.#recent = [...this.#recent, loss].slice(-this.#options.window);
    }
    this.#skips = reason === null ? 0 : this.#skips + 1;
    if (reason !== null && this.#skips >= this.#options.maxSkips) {
      throw new DivergedError(
        `train: ${reason}, and ${this.#skips} steps in a row were left out (${this.#options.maxSkips} allowed). ` +
          `Lower the learning rate, or look at the data.`,
      );
    }
    return reason;
  }

  #reason(loss: number, gradNorm: number): string | null {
    if (!Number.isFinite(loss)) return `the loss is ${loss}`;
    if (!Number.isFinite(gradNorm)) return `the gradient norm is ${gradNorm}`;
    const limit = this.largestLoss;
    if (loss <= limit) return null;
    return `the loss is ${loss.toPrecision(4)}, far above its median ${
      median(this.#recent).toPrecision(4)
    } (${limit.toPrecision(4)} allowed)`;
  }

  /** What it remembers. */
  state(): Json {
    return { recent: this.#recent, skips: this.#skips };
  }

  /** Remembers what another guard did. */
  restore(state: Json): void {
    const { recent, skips } = state as { readonly recent: number[]; readonly skips: number };
    [this.#recent, this.#skips] = [recent, skips];
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b), half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
