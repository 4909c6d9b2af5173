/**
 * The options that say how tokens are drawn.
 *
 * @module
 */
import { integer, number, type Option } from "./options.ts";

/** Options of drawing, as `session.ts` and nn take them. */
export interface SamplingOptions {
  readonly temperature: Option<number>;
  readonly topK: Option<number>;
  readonly topP: Option<number>;
  readonly minP: Option<number>;
}

/** The options, with the temperature that holds when none is given. */
export function samplingOptions(temperature: number): SamplingOptions {
  return {
    temperature: number("X", "Randomness; 0 always takes the likeliest token", {
      min: 0,
      max: 100,
      fallback: temperature,
    }),
    topK: integer("N", "Draw from the N likeliest tokens only; 0 for all", { min: 0, fallback: 0 }),
    topP: number("X", "Draw from the likeliest tokens that reach this probability together", {
      min: 1e-6,
      max: 1,
      fallback: 1,
    }),
    minP: number("X", "Draw no token less likely than X times the likeliest", {
      min: 0,
      max: 1,
      fallback: 0,
    }),
  };
}
