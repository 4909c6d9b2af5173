/**
 * The questions of the recipe, with their answers.
 *
 * @module
 */
import type { Recipe } from "../config/recipe_schema.ts";
import { type Dataset, openRows, type Row } from "../data/mod.ts";
import { rlRow, sftRow } from "../data/synthetic/mod.ts";
import { PromptCoder } from "../eval/mod.ts";
import { holdOut } from "../jobs/held_out.ts";
import {
  exactReward,
  formatReward,
  mathReward,
  messagesOfRow,
  type Reward,
  type RewardRow,
  thinkingOfRow,
} from "../rewards/mod.ts";
import type { StageContext } from "./context.ts";
import { generatedRows, rowCount } from "./texts.ts";

/** Conversations in parts that share none. */
export interface Conversations extends Disposable {
  readonly train: Dataset<Row>;
  readonly heldOut: Dataset<Row>;
}

/** What fine-tuning learns from: every question with thinking and without. */
export async function openConversations(recipe: Recipe): Promise<Conversations> {
  const { seed, tasks, heldOutRows, sft: { carefulShare } } = recipe;
  if (recipe.questions !== undefined) return await openQuestions(recipe);
  const rows = { ...tasks, seed, carefulShare };
  return {
    train: generatedRows("conversations", rowCount, (i) => ({ ...sftRow(i, rows) })),
    heldOut: generatedRows(
      "held-out conversations",
      heldOutRows,
      (i) => ({ ...sftRow(i, { ...rows, split: "validation" }) }),
    ),
    [Symbol.dispose]: () => {},
  };
}

async function openQuestions({ seed, questions, heldOutRows }: Recipe): Promise<Conversations> {
  const rows = await openRows(questions!.map(({ path }) => path));
  const count = Math.min(heldOutRows, Math.floor(rows.count / 4));
  return { ...holdOut(rows, count, seed), [Symbol.dispose]: () => rows[Symbol.dispose]() };
}

/** An answer is right or not, and keeps to the reasoning switch or not; both count. */
export function rewardsOf({ questions }: Recipe): Readonly<Record<"correct" | "format", Reward>> {
  return { correct: questions === undefined ? exactReward : mathReward(), format: formatReward };
}

/** Problems to be answered with thinking, that the model has room for: to learn from, or new ones. */
export async function problemsOf(
  context: StageContext,
  count: number,
  part: "train" | "heldOut",
  longest: number,
): Promise<RewardRow[]> {
  const { recipe } = context, { seed, tasks, questions } = recipe;
  if (questions === undefined) {
    const split = part === "train" ? "train" : "test";
    return Array.from({ length: count }, (_, i) => ({ ...rlRow(i, { ...tasks, seed, split }) }));
  }
  using opened = await openQuestions(recipe);
  const coder = new PromptCoder(await context.tokenizer()), found: RewardRow[] = [];
  for (let i = 0; i < opened[part].count && found.length < count; i++) {
    const rows = await opened[part].read(i) as unknown as RewardRow[];
    const row = rows.find((one) => thinkingOfRow(one) !== false);
    if (row && coder.encode(row).ids.length <= longest) {
      found.push({
        prompt: messagesOfRow(row)!.filter(({ role }) => role !== "assistant"),
        answer: row.answer,
      });
    }
  }
  return found;
}
