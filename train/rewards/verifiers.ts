/**
 * Rewards that look at the text alone.
 *
 * @module
 */
import { followsThinkingFormat, splitReasoning } from "../../text/mod.ts";
import type { CompareOptions } from "./math/compare.ts";
import { extractAnswer } from "./math/extract.ts";
import { verifyMath } from "./math/verify.ts";
import {
  type Reward,
  type RewardCompletion,
  type RewardRow,
  textField,
  thinkingOfRow,
} from "./reward.ts";

/** 1 where the final answer means what the row's `answer` says, by {@linkcode verifyMath}. */
export function mathReward(options: CompareOptions = {}): Reward {
  return ({ text }, row) =>
    verifyMath(textField("mathReward", row, "answer"), text, options) ? 1 : 0;
}

/** 1 where the answer after the thinking is the row's `answer`, but for white space around it. */
export function exactReward({ text }: RewardCompletion, row: RewardRow): number {
  const { content } = splitReasoning(text);
  return content.trim() === textField("exactReward", row, "answer").trim() ? 1 : 0;
}

/**
 * 1 where a completion keeps to the reasoning switch of its row: `<think>` exactly once when on, none when off
 * ({@linkcode followsThinkingFormat}). Completions that were cut off, and rows without a switch, get 1.
 */
export function formatReward({ text, ended }: RewardCompletion, row: RewardRow): number {
  const on = thinkingOfRow(row);
  return !ended || on === undefined || followsThinkingFormat(text, on) ? 1 : 0;
}

/** 1 where the chosen letter is the row's `answer`: a letter, or the number or text of one of its `choices`. */
export function choiceReward({ text }: RewardCompletion, row: RewardRow): number {
  const choices = Array.isArray(row.choices) ? row.choices.map(String) : [];
  const right = choiceLetter(textField("choiceReward", row, "answer"), choices);
  return extractChoice(text, choices) === right ? 1 : 0;
}

/** The letter of an answer that is given as a letter, a number counted from 0, or the text of a choice. */
function choiceLetter(answer: string, choices: readonly string[]): string {
  const letter = /^\s*\(?([A-Za-z])[).]?\s*$/.exec(answer);
  if (letter) return letter[1].toUpperCase();
  const place = choices.indexOf(answer) >= 0 ? choices.indexOf(answer) : Number(answer);
  if (Number.isInteger(place) && place >= 0 && place < 26) return String.fromCharCode(65 + place);
  throw new TypeError(
    `choiceReward: the answer is no letter and none of the choices, ${JSON.stringify(answer)} ` +
      `(${choices.length} choices).`,
  );
}

/**
 * The letter that a completion chooses: in a box, behind "answer is", or the last capital letter that stands alone; null
 * where there is none. An answer that repeats a choice's text counts as its letter.
 *
 * @example
 * ```ts
 * import { extractChoice } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * assert.equal(extractChoice("A is too small, so the answer is (C)."), "C");
 * ```
 */
export function extractChoice(completion: string, choices: readonly string[] = []): string | null {
  const { content } = splitReasoning(completion);
  const answer = extractAnswer(content);
  const boxed = /\\boxed\s*\{[^a-zA-Z]*(?:\\(?:text|mathrm|textbf)\s*\{)?\s*\(?([A-Z])\b[^{}]*\}+/;
  const named = /(?:answer|choice|option)(?:\s+is)?\s*:?\s*\**\s*(?:\\\(|\$)?\s*\(?([A-Z])\b/gi;
  const found = boxed.exec(content)?.[1] ?? [...content.matchAll(named)].at(-1)?.[1];
  if (found) return found.toUpperCase();
  const text = [content.trim(), answer].map((candidate) =>
    choices.findIndex((choice) => choice === candidate)
  ).find((place) => place >= 0);
  if (text !== undefined) return String.fromCharCode(65 + text);
  return [...content.matchAll(/(?<![\w'])\(?([A-Z])\)?(?![\w'])/g)].at(-1)?.[1] ?? null;
}

/** Changes a score by something about the completion. */
export type RewardShape = (score: number, completion: RewardCompletion) => number;

/**
 * Takes away from long completions: nothing up to `from` of the tokens they may have, `most` at the end, linear between
 * them (DAPO, as in NVIDIA NeMo-Aligner).
 */
export function linearLengthPenalty(
  { from = 0.75, most = 0.5 }: { readonly from?: number; readonly most?: number } = {},
): RewardShape {
  return (score, { tokens, maxTokens }) => {
    const over = (tokens / maxTokens - from) / (1 - from);
    return score - most * Math.min(1, Math.max(0, over));
  };
}

/** r → −(1 − r) − r · length / longest + 1: right answers are worth more the shorter they are ("alex" in NeMo-Aligner). */
export function shortAnswers(score: number, { tokens, maxTokens }: RewardCompletion): number {
  return -(1 - score) - score * tokens / maxTokens + 1;
}

/** How the scores of several rewards, by name, become one. */
export type RewardCombination = (
  scores: Readonly<Record<string, number>>,
  completion: RewardCompletion,
) => number;

/**
 * The product of all scores, and 0 for completions that did not end: correct × format × is_end, as published for
 * Llama-Nemotron. Shapes follow.
 */
export function verifiedProduct(...shapes: readonly RewardShape[]): RewardCombination {
  return (scores, completion) => {
    const product = Object.values(scores).reduce((all, score) => all * score, 1);
    const ended = completion.ended ? product : 0;
    return shapes.reduce((score, shape) => shape(score, completion), ended);
  };
}

/** The sum of all scores but `format`, or −100 where that is 0; 0 for completions that did not end: for reward models. */
export function preferenceSum(
  { format = 1, ...scores }: Readonly<Record<string, number>>,
  { ended }: RewardCompletion,
): number {
  const sum = Object.values(scores).reduce((all, score) => all + score, 0);
  return (format === 0 ? -100 : sum) * Number(ended);
}
