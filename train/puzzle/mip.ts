/**
 * The mixed-integer program: one choice for each block, the least summed score within all limits.
 *
 * @module
 */
import highsLoader, { type Highs } from "highs";
import {
  type Constraint,
  type Limit,
  quantities,
  quantitiesOf,
  type Quantity,
  resolveConstraints,
  type Row,
  rowsOf,
  violation,
} from "./constraints.ts";
import { type Architecture, type SearchSpace, totalScore } from "./space.ts";

/** How to search. */
export interface SearchOptions {
  /** Limits; all hold. */
  readonly constraints?: readonly Constraint[];
  /** How many architectures to find; 1 by default. */
  readonly solutions?: number;
  /** The share of blocks in which a further solution may agree with an earlier one; 0.9 by default. */
  readonly overlap?: number;
  /** Seconds that the solver may take for one program; 60 by default. */
  readonly timeLimit?: number;
  /** The solver, to load it once for several searches. */
  readonly solver?: Solver;
}

/** An architecture that a search found. */
export interface Solution {
  /** For each block, the index of its choice. */
  readonly architecture: readonly number[];
  /** The batch size that it is best at. */
  readonly batch: number;
  /** The predicted loss: the sum of scores. */
  readonly score: number;
  /** What it costs, by the measurements of its parts. */
  readonly quantities: Readonly<Record<Quantity, number>>;
}

/** Thrown when no architecture keeps all limits; says which are in the way, and what would be possible. */
export class InfeasibleError extends Error {
  /** The class's name. */
  override readonly name = "InfeasibleError";

  /** `nearest`: for each limit that is in the way, the value nearest to it that the others leave possible. */
  constructor(
    message: string,
    readonly nearest: readonly { readonly quantity: Quantity; readonly value: number }[],
  ) {
    super(message);
  }
}

/** A program over choices: minimise Σ scores within rows. */
export interface Program {
  /** By block and choice; those that are not finite cannot be chosen. */
  readonly scores: readonly (readonly number[])[];
  /** Limits. */
  readonly rows: readonly Limit[];
  /** Architectures that a solution agrees with in at most so many blocks. */
  readonly cuts?: readonly { readonly architecture: Architecture; readonly most: number }[];
  /** Seconds; 60 by default. */
  readonly timeLimit?: number;
}

/** The architecture with the least summed score, or null when none keeps the limits. */
export type Solver = (program: Program) => number[] | null;

/**
 * Loads the solver (HiGHS). What it says is checked: limits are kept exactly, but for rounding. It throws Error when it
 * does not finish in time.
 *
 * Source of the program: Bercovich et al., "Puzzle", 2024, appendix B.
 *
 * @example
 * ```ts
 * import { openSolver } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * const solve = await openSolver();
 * const scores = [[0, 1, 3], [0, 2, 2.5]], time = [[5, 3, 1], [5, 3, 1]];
 * const rows = [{ coefficients: time, min: -Infinity, max: 6 }];
 * assert.deepEqual(solve({ scores, rows }), [0, 2]);
 * ```
 */
export async function openSolver(): Promise<Solver> {
  // The package's types describe its CommonJS build; what is loaded here is the function itself.
  const highs = await (highsLoader as unknown as typeof highsLoader.default)();
  return (program) => {
    const cuts = [...program.cuts ?? []];
    while (true) {
      const architecture = runSolver(highs, { ...program, cuts });
      if (architecture === null) return null;
      // The solver takes a limit for kept when it is broken by less than its tolerance. We do not: look on without this one.
      if (program.rows.every((row) => violation(row, architecture) === 0)) return architecture;
      cuts.push({ architecture, most: program.scores.length - 1 });
    }
  };
}

function runSolver(highs: Pick<Highs, "solve">, program: Program): number[] | null {
  const result = highs.solve(linearProgram(program), {
    output_flag: false,
    mip_rel_gap: 0,
    mip_abs_gap: 0,
    mip_feasibility_tolerance: 1e-9,
    time_limit: program.timeLimit ?? 60,
  });
  if (result.Status === "Infeasible") return null;
  if (result.Status !== "Optimal") {
    throw new Error(
      `puzzle: the solver stopped, ${result.Status} (${program.scores.length} blocks). ` +
        `Allow it more time, or offer fewer variants.`,
    );
  }
  return program.scores.map((options, i) =>
    options.findIndex((_, j) => (result.Columns[variable(i, j)]?.Primal ?? 0) > 0.5)
  );
}

const variable = (i: number, j: number): string => `x${i}_${j}`;

/** The program as text in CPLEX's LP format. */
function linearProgram({ scores, rows, cuts = [] }: Program): string {
  const usable = scores.map((options) =>
    [...options.keys()].filter((j) => Number.isFinite(options[j]))
  );
  // Scores of about 1000 keep differences between them far above the solver's tolerances.
  const largest = Math.max(...scores.flat().filter(Number.isFinite).map(Math.abs)) || 1;
  const sum = (coefficients: (i: number, j: number) => number): string => {
    const terms = usable.flatMap((options, i) =>
      options.map((j) => [coefficients(i, j), variable(i, j)] as const)
    );
    return terms.filter(([value]) => value !== 0)
      .map(([value, name]) => `${value < 0 ? "-" : "+"} ${Math.abs(value)} ${name}`)
      .join("\n ") || `0 ${variable(0, usable[0][0] ?? 0)}`;
  };
  const choose = usable.map((options, i) =>
    ` choose${i}: ${
      options.map((j) => `+ ${variable(i, j)}`).join("\n ") || `0 ${variable(i, 0)}`
    } = 1`
  );
  const limits = rows.flatMap(({ coefficients, min, max }, r) => {
    const left = sum((i, j) => coefficients[i][j]);
    return [
      ...(max < Infinity ? [` most${r}: ${left} <= ${max}`] : []),
      ...(min > -Infinity ? [` least${r}: ${left} >= ${min}`] : []),
    ];
  });
  const differ = cuts.map(({ architecture, most }, c) =>
    ` differ${c}: ${sum((i, j) => architecture[i] === j ? 1 : 0)} <= ${most}`
  );
  return [
    "Minimize",
    ` score: ${sum((i, j) => scores[i][j] / largest * 1000)}`,
    "Subject To",
    ...choose,
    ...limits,
    ...differ,
    "Binary",
    ...usable.flatMap((options, i) => options.map((j) => ` ${variable(i, j)}`)),
    "End",
  ].join("\n");
}

/**
 * The best architectures of a space, one after the other, each at the batch size where it is best. A solution after the
 * first differs from every earlier one in at least 1 − `overlap` of the blocks. Fewer are returned when no more exist.
 * Throws InfeasibleError when there is none at all, ConstraintError for constraints that make no sense.
 */
export async function search(space: SearchSpace, options: SearchOptions = {}): Promise<Solution[]> {
  const { solutions = 1, overlap = 0.9, timeLimit = 60, solver = await openSolver() } = options;
  const constraints = resolveConstraints(space, options.constraints ?? []);
  const scores = space.layers.map((choices) => choices.map(({ score }) => score));
  const most = Math.floor(overlap * scores.length);
  const found: Solution[] = [];
  while (found.length < solutions) {
    const cuts = found.map(({ architecture }) => ({ architecture, most }));
    const candidates: Solution[] = [];
    for (const batch of space.scenario.batchSizes) {
      const rows = rowsOf(space, constraints, batch);
      const architecture = solver({ scores, rows, cuts, timeLimit });
      if (architecture) candidates.push(describe(space, constraints, architecture, batch));
    }
    if (candidates.length === 0) break;
    found.push(candidates.reduce((best, other) => other.score < best.score ? other : best));
  }
  if (found.length === 0) throw infeasible(space, constraints, solver);
  return found;
}

/** What an architecture is predicted to lose and to cost. */
export function describe(
  space: SearchSpace,
  constraints: readonly Constraint[],
  architecture: readonly number[],
  batch: number,
): Solution {
  const memory = constraints.find(({ quantity }) => quantity === "memory")?.max ?? null;
  return {
    architecture,
    batch,
    score: totalScore(space, architecture),
    quantities: quantitiesOf(space, architecture, batch, memory),
  };
}

/** Looks, for each limit, how near to it the others let us come. */
function infeasible(
  space: SearchSpace,
  constraints: readonly Constraint[],
  solver: Solver,
): InfeasibleError {
  const without = (own: Row, rows: readonly Row[]): Row[] => rows.filter((row) => row !== own);
  const alone = nearest(space, constraints, solver, without);
  if (alone.length > 0) return explain(alone, "with the other limits kept");
  return explain(nearest(space, constraints, solver, () => []), "even without the other limits");
}

interface Nearest {
  readonly constraint: Constraint;
  readonly value: number;
}

/** For each constraint that is broken even by what comes nearest to it among what keeps `others`, that nearest value. */
function nearest(
  space: SearchSpace,
  constraints: readonly Constraint[],
  solver: Solver,
  others: (own: Row, rows: readonly Row[]) => readonly Row[],
): Nearest[] {
  const found: Nearest[] = [];
  for (const [c, constraint] of constraints.entries()) {
    let best: { readonly value: number; readonly missing: number } | null = null;
    for (const batch of space.scenario.batchSizes) {
      const rows = rowsOf(space, constraints, batch), own = rows[c];
      const near = nearestTo(own, others(own, rows), solver);
      if (near === null) continue;
      const missing = violation(own, near);
      if (best !== null && missing >= best.missing) continue;
      const value = describe(space, constraints, near, batch).quantities[constraint.quantity];
      best = { value, missing };
    }
    if (best !== null && best.missing > 0) found.push({ constraint, value: best.value });
  }
  return found;
}

/** The architecture that comes nearest to a row's limits; null when none keeps the others. */
function nearestTo(own: Row, rows: readonly Row[], solver: Solver): number[] | null {
  const least = solver({ scores: own.coefficients, rows });
  if (least === null || own.min === -Infinity) return least;
  const most = solver({ scores: own.coefficients.map((a) => a.map((x) => -x)), rows });
  return violation(own, most!) < violation(own, least) ? most : least;
}

function explain(found: readonly Nearest[], when: string): InfeasibleError {
  const lines = found.map(({ constraint: { quantity, min, max }, value }) => {
    const unit = quantities[quantity].unit;
    const asked = min !== undefined && value < min
      ? `at least ${short(min)}`
      : `at most ${short(max ?? min!)}`;
    return `${quantity} ${asked} ${unit} is not possible ${when}; the nearest is ${
      short(value)
    } ${unit}`
      .replaceAll("  ", " ").trim();
  });
  return new InfeasibleError(
    `puzzle: no architecture keeps all limits (${found.length} in the way). Relax one.\n  ` +
      lines.join("\n  "),
    found.map(({ constraint, value }) => ({ quantity: constraint.quantity, value })),
  );
}

function short(value: number): string {
  return Number(value.toPrecision(5)).toLocaleString("en", { maximumSignificantDigits: 5 });
}
