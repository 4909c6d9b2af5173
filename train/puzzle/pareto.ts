/**
 * What has to be lost for what is saved: the best architectures for one limit after the other.
 *
 * @module
 */
import { type Constraint, quantities, quantitiesOf, type Quantity } from "./constraints.ts";
import { InfeasibleError, openSolver, search, type SearchOptions, type Solution } from "./mip.ts";
import { parentArchitecture, type SearchSpace } from "./space.ts";

/** A sweep over one quantity. */
export interface SweepOptions extends SearchOptions {
  /** What is limited more and more. */
  readonly quantity: Quantity;
  /** The last limit, as a multiple of what the parent has, such as 3 for three times its throughput. */
  readonly to: number;
  /** How many limits, the parent's among them; 20 by default. */
  readonly steps?: number;
}

/**
 * The best architecture for each of several limits of a quantity, from what the parent has on; those that something better
 * and cheaper makes useless are left out. Other constraints hold throughout.
 */
export async function paretoSweep(
  space: SearchSpace,
  { quantity, to, steps = 20, constraints = [], ...options }: SweepOptions,
): Promise<Solution[]> {
  const solver = options.solver ?? await openSolver(), { more } = quantities[quantity];
  const found: Solution[] = [];
  for (let i = 0; i < steps; i++) {
    const factor = to ** (i / Math.max(1, steps - 1)); // equal ratios
    const limit: Constraint = { quantity, [more ? "min" : "max"]: factor, relative: true };
    const others = constraints.filter((constraint) => constraint.quantity !== quantity);
    try {
      const [best] = await search(space, { ...options, solver, constraints: [...others, limit] });
      found.push(best);
    } catch (error) {
      if (error instanceof InfeasibleError) break; // and so are all that follow
      throw error;
    }
  }
  return frontier(found, quantity);
}

/** Those that nothing beats in both score and quantity. */
function frontier(found: readonly Solution[], quantity: Quantity): Solution[] {
  const better = (a: Solution, b: Solution): number =>
    (a.quantities[quantity] - b.quantities[quantity]) * (quantities[quantity].more ? 1 : -1);
  const distinct = found.filter((a, i) =>
    found.findIndex((b) => b.score === a.score && better(a, b) === 0) === i
  );
  return distinct.filter((a) =>
    !distinct.some((b) =>
      b.score <= a.score && better(b, a) >= 0 && (b.score < a.score || better(b, a) > 0)
    )
  );
}

/** A sweep as CSV: the quantity, its multiple of the parent's, the score, the batch size, and each block's choice. */
export function paretoCsv(
  space: SearchSpace,
  quantity: Quantity,
  solutions: readonly Solution[],
): string {
  const blocks = space.layers.map((_, i) => `block ${i}`);
  const rows = solutions.map(({ architecture, batch, score, quantities: own }) => {
    const parent = quantitiesOf(space, parentArchitecture(space), batch)[quantity];
    const names = architecture.map((j, i) => space.layers[i][j].name);
    return [own[quantity], own[quantity] / parent, score, batch, ...names];
  });
  const header = [quantity, `${quantity} of the parent's`, "score", "batch", ...blocks];
  return [header, ...rows].map((row) => row.join(",")).join("\n") + "\n";
}
