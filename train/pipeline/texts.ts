/**
 * The texts of the recipe.
 *
 * @module
 */
import type { Recipe } from "../config/recipe_schema.ts";
import { type Dataset, openRows, type Row } from "../data/mod.ts";
import { pretrainRow } from "../data/synthetic/mod.ts";
import { holdOut } from "../jobs/held_out.ts";

/** Rows that differ; more than are ever read. */
export const rowCount = 1_000_000;

/** Share of files that is at most held out, and as much again to search with: the rows of a file may be few and long. */
const mostHeldOut = 0.05;

/** Texts in parts that share none. */
export interface Texts extends Disposable {
  /** To learn from. */
  readonly train: Dataset<Row>;
  /** To tell how good a model is. */
  readonly heldOut: Dataset<Row>;
  /** To decide what is best for a model. */
  readonly calibration: Dataset<Row>;
}

/** What the parent learns from, and its child after it. Throws DataError for files that cannot be used. */
export async function openTexts(recipe: Recipe): Promise<Texts> {
  const { seed, data, heldOutRows } = recipe;
  if (data === undefined) return embeddedTexts(recipe);
  const rows = await openRows(data.map(({ path }) => path));
  const count = Math.min(heldOutRows, Math.max(1, Math.floor(mostHeldOut * rows.count)));
  const { train, heldOut: held } = holdOut(rows, 2 * count, seed);
  const { train: calibration, heldOut } = holdOut(held, count, seed);
  return { train, heldOut, calibration, [Symbol.dispose]: () => rows[Symbol.dispose]() };
}

function embeddedTexts({ seed, tasks, pretrain, heldOutRows }: Recipe): Texts {
  const { carefulShare, storyShare, directShare } = pretrain;
  const texts = { ...tasks, seed, carefulShare, storyShare, directShare };
  const validation = (name: string, first: number): Dataset<Row> =>
    generatedRows(
      name,
      heldOutRows,
      (i) => ({ ...pretrainRow(first + i, { ...texts, split: "validation" }) }),
    );
  return {
    train: generatedRows("texts", rowCount, (i) => ({ ...pretrainRow(i, texts) })),
    heldOut: validation("held-out texts", 0),
    calibration: validation("calibration texts", heldOutRows),
    [Symbol.dispose]: () => {},
  };
}

/** Rows of each number, made when they are asked for. */
export function generatedRows(
  name: string,
  count: number,
  row: (index: number) => Row,
): Dataset<Row> {
  return {
    name,
    count,
    blocks: null,
    read: (index) => Promise.resolve([row(index)]),
    where: (index) => `${name}, row ${index + 1}`,
    [Symbol.dispose]: () => {},
  };
}
