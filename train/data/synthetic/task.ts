/**
 * What a reasoning task is.
 *
 * @module
 */
import type { Draw } from "./draw.ts";

/** One problem with its solution. */
export interface Problem {
  /** What is asked, in words. */
  readonly question: string;
  /** What is asked, whatever the words: problems of equal content are one problem, and belong to one split. */
  readonly content: string;
  /** The working in small steps, each true and each easy. The last one ends with the answer. */
  readonly careful: readonly string[];
  /** The working in as few steps as a quick reckoner writes down. The last one ends with the answer. */
  readonly brief: readonly string[];
  /** The answer, which is unique. */
  readonly answer: string;
}

/** A kind of problem. */
export interface Task {
  /** What rows call it. */
  readonly name: string;
  /** Difficulties, from 1 to this. */
  readonly levels: number;
  /** Draws a problem of a level. */
  problem(level: number, draw: Draw): Problem;
}

/** The decimal digits of a whole number, ones first, at least `count` of them. */
export function digits(value: number, count: number = 1): number[] {
  return Array.from(String(value).padStart(count, "0"), Number).reverse();
}

/** A whole number of exactly `count` digits. */
export function numberOf(count: number, draw: Draw): number {
  return draw.integer(count === 1 ? 1 : 10 ** (count - 1), 10 ** count - 1);
}
