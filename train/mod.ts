/**
 * Training: one loop, and stages that are batches plus a loss.
 *
 * @module
 */
export type * from "./stage.ts";
export * from "./data/synthetic/mod.ts";
