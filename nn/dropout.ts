/**
 * The dropout layer.
 *
 * @module
 */
import type { RandomKey, Tensor } from "../tensor/mod.ts";
import { Module } from "./module.ts";

/**
 * 0 with probability p, else x / (1 − p), while training; x otherwise (Srivastava et al., 2014). Which elements go is a
 * function of key and step alone, so that a recomputed forward pass drops the same ones. x: [...] → same.
 */
export class Dropout extends Module {
  /** Which draw; set it to another number for each forward pass that is to drop others. See `setDropoutStep()`. */
  step = 0;

  /** A layer that draws from a key of its own. */
  constructor(readonly p: number, readonly key: RandomKey) {
    super();
  }

  /** x: [...] → same. */
  forward(x: Tensor): Tensor {
    return this.training && this.p > 0 ? x.dropout(this.p, this.key.derive(this.step)) : x;
  }
}

/** Makes every dropout layer of `module` drop other elements: those of `step`, such as the number of the micro-batch. */
export function setDropoutStep(module: Module, step: number): void {
  for (const part of module.modules().values()) if (part instanceof Dropout) part.step = step;
}
