/**
 * Exponential moving average.
 *
 * @module
 */
import { sizeOf } from "../layout.ts";
import type { Binary } from "../op.ts";
import { addressOf } from "./address.ts";
import { checkAlike } from "./arena.ts";
import { overElements } from "./launch.ts";

/**
 * decay · average + (1 − decay) · values, as average + (1 − decay)·(values − average), which stays put where both are
 * equal. Every element is on its own, so the output of `callInto` may be the average.
 */
export const ema: Binary<{ readonly decay: number }> = {
  name: "ema",
  outputs: (inputs) => {
    checkAlike("ema", ["average", "values"], inputs);
    return [{ shape: inputs[0].shape, dtype: inputs[0].dtype }];
  },
  reference: ([average, values], [out], { decay }) => {
    for (let i = 0; i < out.data.length; i++) {
      const before = average.data[i];
      out.data[i] = before + (1 - decay) * (values.data[i] - before);
    }
  },
  kernel: {
    source: new URL("./ema.c", import.meta.url),
    entry: "ema",
    cuda: {
      source: new URL("./ema.cu", import.meta.url),
      launches: (_, [out]) => [overElements(sizeOf(out.shape))],
    },
    arguments: (to, [average, values], [out], { decay }) => {
      to.address(addressOf(out)).address(addressOf(average)).address(addressOf(values));
      to.integer(sizeOf(out.shape)).float(1 - decay);
    },
  },
  samples: [
    { shapes: [[5], [5]], params: { decay: 0.9 } },
    { shapes: [[2, 3], [2, 3]], params: { decay: 0 } },
    { shapes: [[0], [0]], params: { decay: 0.5 } },
    { shapes: [[40001], [40001]], params: { decay: 0.999 } },
  ],
};
