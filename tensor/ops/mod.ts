/**
 * Every op: the table of contents.
 *
 * @module
 */
export * from "./elementwise.ts";
export { copy } from "./copy.ts";
export { fill } from "./fill.ts";
export { sum } from "./reduce.ts";
export { expand, permute, reshape, slice } from "./views.ts";
