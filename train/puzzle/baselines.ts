/**
 * Simpler ways to choose an architecture, to compare the search with.
 *
 * @module
 */
import { permutation, type RandomKey } from "../../tensor/mod.ts";
import { type Row, violation } from "./constraints.ts";
import type { Solver } from "./mip.ts";
import { parentArchitecture, type SearchSpace } from "./space.ts";

/** What every baseline is told: the choices, and limits at one batch size. */
export interface BaselineProblem {
  /** The choices. */
  readonly space: SearchSpace;
  /** What must be kept. */
  readonly rows: readonly Row[];
}

/**
 * From the parent, one block after the other is replaced: always what loses least for what it saves of the broken limits,
 * until all are kept (Bercovich et al., "Puzzle", 2024, appendix F.2.2). Null when that leads nowhere.
 */
export function greedyArchitecture({ space, rows }: BaselineProblem): number[] | null {
  let architecture = parentArchitecture(space);
  let broken = totalViolation(rows, architecture);
  while (broken > 0) {
    let best: { readonly price: number; readonly next: number[] } | null = null;
    for (const [i, options] of space.layers.entries()) {
      for (const [j, { score }] of options.entries()) {
        const next = architecture.with(i, j), saved = broken - totalViolation(rows, next);
        const price = (score - options[architecture[i]].score) / saved;
        if (saved > 0 && Number.isFinite(price) && (!best || price < best.price)) {
          best = { price, next };
        }
      }
    }
    if (best === null) return null;
    architecture = best.next;
    broken = totalViolation(rows, architecture);
  }
  return architecture;
}

/**
 * Architectures that keep all limits, drawn at random: blocks of the parent are replaced by any choice, in random order,
 * until the limits are kept. Fewer than `count` when chance finds no more.
 */
export function randomArchitectures(
  { space, rows }: BaselineProblem,
  count: number,
  key: RandomKey,
): number[][] {
  const found: number[][] = [], attempts = 100 * count;
  for (let attempt = 0; attempt < attempts && found.length < count; attempt++) {
    const own = key.derive(attempt), order = permutation(space.layers.length, own.derive("order"));
    let architecture = parentArchitecture(space);
    for (const i of order) {
      if (totalViolation(rows, architecture) === 0) break;
      const usable = usableChoices(space, i);
      const drawn = usable[Math.floor(own.derive("choice").uniform(i) * usable.length)];
      architecture = architecture.with(i, drawn);
    }
    if (totalViolation(rows, architecture) === 0) found.push(architecture);
  }
  return found;
}

/** The architecture with the most parameters, whatever it loses; null when nothing keeps the limits. */
export function parameterMaximisingArchitecture(
  { space, rows }: BaselineProblem,
  solve: Solver,
): number[] | null {
  const scores = space.layers.map((options) =>
    options.map(({ score, cost }) => Number.isFinite(score) ? -cost.parameters : NaN)
  );
  return solve({ scores, rows });
}

/** The best architecture that only removes parts, or keeps them; null when that is not enough. */
export function removalArchitecture(
  { space, rows }: BaselineProblem,
  solve: Solver,
): number[] | null {
  const scores = space.layers.map((options) =>
    options.map(({ score, name }) => /^(parent|none) \+ (parent|none)$/.test(name) ? score : NaN)
  );
  return solve({ scores, rows });
}

function usableChoices({ layers }: SearchSpace, i: number): number[] {
  return [...layers[i].keys()].filter((j) => Number.isFinite(layers[i][j].score));
}

/** By how much all limits are broken; they are scaled to about 1, so that they may be added. */
function totalViolation(rows: readonly Row[], architecture: readonly number[]): number {
  return rows.reduce((sum, row) => sum + violation(row, architecture), 0);
}
