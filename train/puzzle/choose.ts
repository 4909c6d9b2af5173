/**
 * The search and what it is compared with, on one space.
 *
 * @module
 */
import { RandomKey } from "../../tensor/mod.ts";
import {
  greedyArchitecture,
  parameterMaximisingArchitecture,
  randomArchitectures,
  removalArchitecture,
} from "./baselines.ts";
import { type Constraint, resolveConstraints, rowsOf } from "./constraints.ts";
import { describe, openSolver, search, type SearchOptions, type Solution } from "./mip.ts";
import type { Architecture, SearchSpace } from "./space.ts";

/** A simpler way to choose, and what it chose. */
export type BaselineName = "greedy" | "random" | "parameter-maximising" | "removal-only";

/** A solution of the program, and what it really loses. */
export interface Candidate extends Solution {
  /** What its realised model loses on calibration text; null where there was nothing to choose between. */
  readonly measured: number | null;
}

/** What was chosen. */
export interface Chosen {
  /** Constraints in plain numbers. */
  readonly constraints: readonly Constraint[];
  /** What the search found, the best first: by what was measured, else by summed scores. */
  readonly solutions: readonly Candidate[];
  /** What each baseline would take at the best solution's batch size; several for random. Empty where one finds nothing. */
  readonly baselines: Readonly<Record<BaselineName, readonly Solution[]>>;
}

/** How to choose. */
export interface ChooseOptions extends SearchOptions {
  /**
   * Measures what an architecture loses when it is realised. Sums of scores are not exact, so that it decides between
   * several solutions; without it the program does.
   */
  readonly measure?: (architecture: Architecture) => Promise<number>;
  /** Architectures drawn at random; 20 by default. */
  readonly draws?: number;
  /** Decides them; 0 by default. */
  readonly seed?: number;
}

/** Searches, and asks the baselines under the same limits. Throws InfeasibleError or ConstraintError. */
export async function chooseArchitectures(
  space: SearchSpace,
  { draws = 20, seed = 0, measure, ...options }: ChooseOptions,
): Promise<Chosen> {
  const solver = options.solver ?? await openSolver();
  const solutions = await ranked(await search(space, { ...options, solver }), measure);
  const constraints = resolveConstraints(space, options.constraints ?? []), [{ batch }] = solutions;
  const problem = { space, rows: rowsOf(space, constraints, batch) };
  const described = (architecture: readonly number[] | null): Solution[] =>
    architecture ? [describe(space, constraints, architecture, batch)] : [];
  const key = new RandomKey(seed).derive("random architectures");
  return {
    constraints,
    solutions,
    baselines: {
      greedy: described(greedyArchitecture(problem)),
      random: randomArchitectures(problem, draws, key).flatMap(described),
      "parameter-maximising": described(parameterMaximisingArchitecture(problem, solver)),
      "removal-only": described(removalArchitecture(problem, solver)),
    },
  };
}

async function ranked(
  solutions: readonly Solution[],
  measure: ChooseOptions["measure"],
): Promise<Candidate[]> {
  if (measure === undefined || solutions.length === 1) {
    return solutions.map((solution) => ({ ...solution, measured: null }));
  }
  const candidates: (Candidate & { readonly measured: number })[] = [];
  for (const solution of solutions) {
    candidates.push({ ...solution, measured: await measure(solution.architecture) });
  }
  return candidates.toSorted((a, b) => a.measured - b.measured);
}

/** Spearman's rank correlation of two lists; ties share their mean rank. NaN where all of one are equal. */
export function rankCorrelation(a: readonly number[], b: readonly number[]): number {
  const [x, y] = [ranks(a), ranks(b)], middle = (a.length - 1) / 2;
  const sum = (value: (i: number) => number): number =>
    x.reduce((total, _, i) => total + value(i), 0);
  const covariance = sum((i) => (x[i] - middle) * (y[i] - middle));
  return covariance /
    Math.sqrt(sum((i) => (x[i] - middle) ** 2) * sum((i) => (y[i] - middle) ** 2));
}

function ranks(values: readonly number[]): number[] {
  return values.map((value) => {
    const less = values.filter((other) => other < value).length;
    const equal = values.filter((other) => other === value).length;
    return less + (equal - 1) / 2;
  });
}
