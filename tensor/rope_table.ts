/**
 * Angles of rotary positions.
 *
 * @module
 */
import { Tensor } from "./tensor.ts";

/**
 * How Llama 3 stretches long wavelengths to reach beyond the context it was first trained on (`rope_type: "llama3"`).
 */
export interface RopeScaling {
  /** Tells the kinds of scaling apart. */
  readonly kind: "llama3";
  /** How much the longest wavelengths are stretched. */
  readonly factor: number;
  /** Wavelengths above `originalContext / lowFrequency` are stretched in full. */
  readonly lowFrequency: number;
  /** Wavelengths below `originalContext / highFrequency` stay as they are. */
  readonly highFrequency: number;
  /** Positions of the first training. */
  readonly originalContext: number;
}

/** What a table is made for. */
export interface RopeTableOptions {
  /** The base of the frequencies. */
  readonly theta: number;
  /** Size of one head. */
  readonly headDim: number;
  /** How much of each head turns, above 0 to 1; all of it by default. */
  readonly fraction?: number;
  /** How many positions: 0 to `positions` − 1. */
  readonly positions: number;
  /** How long wavelengths are stretched; none by default. */
  readonly scaling?: RopeScaling | null;
}

/**
 * Angle per position of each pair, in radians: θ^(−2i/rotary) for the pairs of the `rotary = headDim·fraction` elements that
 * turn, with scaling applied. Computed in f64.
 *
 * @example
 * ```ts
 * import { ropeFrequencies } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 * assert.deepEqual(ropeFrequencies({ theta: 10_000, headDim: 4 }), [1, 0.01]);
 * ```
 */
export function ropeFrequencies(
  { theta, headDim, fraction = 1, scaling = null }: Omit<RopeTableOptions, "positions">,
): number[] {
  const pairs = Math.floor(headDim * fraction / 2);
  const rotary = Math.floor(headDim * fraction);
  return Array.from({ length: pairs }, (_, i) => {
    const frequency = theta ** (-2 * i / rotary);
    return scaling ? stretch(frequency, scaling) : frequency;
  });
}

/**
 * Cosine and sine of position · frequency, f32 [positions, pairs, 2], as `Tensor.rope()` reads them.
 * Throws RangeError for a theta, fraction or size that makes no sense.
 *
 * @example
 * ```ts
 * import { ropeTable } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 * using table = ropeTable({ theta: 10_000, headDim: 64, fraction: 0.5, positions: 128 });
 * assert.deepEqual(table.shape, [128, 16, 2]);
 * ```
 */
export function ropeTable(options: RopeTableOptions): Tensor {
  check(options);
  const frequencies = ropeFrequencies(options), { positions } = options;
  const pairs = frequencies.length, turns = new Float64Array(positions * pairs * 2);
  for (let position = 0; position < positions; position++) {
    for (let i = 0; i < pairs; i++) {
      const at = (position * pairs + i) * 2, angle = position * frequencies[i];
      turns[at] = Math.cos(angle);
      turns[at + 1] = Math.sin(angle);
    }
  }
  return Tensor.from(turns, [positions, pairs, 2]);
}

/** Between the two bounds the stretched and the original frequency are blended linearly. */
function stretch(frequency: number, scaling: RopeScaling): number {
  const { factor, lowFrequency: low, highFrequency: high, originalContext } = scaling;
  const wavelengths = originalContext * frequency / (2 * Math.PI); // that fit the original context
  if (wavelengths > high) return frequency;
  if (wavelengths < low) return frequency / factor;
  const kept = (wavelengths - low) / (high - low);
  return (1 - kept) * frequency / factor + kept * frequency;
}

function check({ theta, headDim, fraction = 1, positions }: RopeTableOptions): void {
  const sizes = [headDim, positions].every((n) => Number.isSafeInteger(n) && n >= 0);
  if (sizes && theta > 0 && fraction >= 0 && fraction <= 1) return;
  throw new RangeError(
    `ropeTable: theta ${theta}, headDim ${headDim}, fraction ${fraction}, ${positions} positions are no table. ` +
      `Use theta above 0, a fraction from 0 to 1, and whole sizes.`,
  );
}
