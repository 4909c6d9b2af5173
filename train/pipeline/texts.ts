/**
 * The texts of the recipe.
 *
 * @module
 */
import type { Recipe } from "../config/recipe_schema.ts";
import type { Dataset, Row } from "../data/mod.ts";
import { pretrainRow } from "../data/synthetic/mod.ts";

/** Rows that differ; more than are ever read. */
export const rowCount = 1_000_000;

/** Texts in parts that share none. */
export interface Texts {
  /** To learn from. */
  readonly train: Dataset<Row>;
  /** To tell how good a model is. */
  readonly heldOut: Dataset<Row>;
  /** To decide what is best for a model. */
  readonly calibration: Dataset<Row>;
}

/** What the parent learns from, and its child after it. */
export function textsOf({ seed, tasks, pretrain, heldOutRows }: Recipe): Texts {
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
