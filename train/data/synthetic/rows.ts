/**
 * Rows of training data from the synthetic tasks, by their number.
 *
 * @module
 */
import { RandomKey } from "../../../tensor/mod.ts";
import {
  type ChatMessage,
  thinkClose,
  thinkingOff,
  thinkingOn,
  thinkOpen,
} from "../../../text/mod.ts";
import { type GeneratedTask, storyAt, taskAt, type TaskOptions } from "./generate.ts";

/** A text to continue. */
export interface PretrainRow {
  /** A story, or a problem with its solution. */
  readonly text: string;
}

/** A conversation of a question and its answer. */
export interface SftRow {
  /** System prompt with the switch, question, and reply. */
  readonly messages: readonly ChatMessage[];
  /** The answer. */
  readonly answer: string;
  /** Name of the task. */
  readonly task: string;
  /** Difficulty, from 1. */
  readonly level: number;
}

/** A question whose answer can be checked. */
export interface RlRow {
  /** System prompt with the switch, and question. */
  readonly prompt: readonly ChatMessage[];
  /** The answer. */
  readonly answer: string;
  /** Name of the task. */
  readonly task: string;
  /** Difficulty, from 1. */
  readonly level: number;
}

/** Which texts to draw. */
export interface PretrainOptions extends TaskOptions {
  /** How many of the texts are stories, 0 to 1; 0.1 by default. */
  readonly storyShare?: number;
  /** How many of the problems come without their working, 0 to 1; 0.1 by default. */
  readonly directShare?: number;
}

/**
 * Text `index`: a story, or a problem with working and answer, or with its answer alone. The workings are
 * careful unless told otherwise: small steps are what a small model learns.
 */
export function pretrainRow(index: number, options: PretrainOptions = {}): PretrainRow {
  const { seed = 0, split = "train", storyShare = 0.1, directShare = 0.1 } = options;
  const key = new RandomKey(seed).derive("synthetic").derive("texts").derive(split).derive(index);
  if (key.uniform(0) < storyShare) return { text: storyAt(index, options) };
  const problem = taskAt(index, { stage: "pretrain", carefulShare: 1, ...options });
  const { question, trace, answer } = problem;
  if (key.uniform(1) < directShare) return { text: `Question: ${question}\nAnswer:\n${answer}` };
  return { text: `Question: ${question}\nWorking:\n${trace}\nAnswer:\n${answer}` };
}

/** Conversation `index`: even ones think before they answer, the odd one after has the same question and does not. */
export function sftRow(index: number, options: TaskOptions = {}): SftRow {
  const on = index % 2 === 0;
  const problem = taskAt(Math.floor(index / 2), { stage: "sft", ...options });
  const { trace, answer, task, level } = problem;
  const content = on ? `${thinkOpen}\n${trace}\n${thinkClose}\n\n${answer}` : answer;
  const messages = [...prompt(problem, on), { role: "assistant", content }];
  return { messages, answer, task, level };
}

/** Question `index`, to be answered with or without thinking. */
export function rlRow(index: number, options: TaskOptions = {}, thinking: boolean = true): RlRow {
  const problem = taskAt(index, { stage: "rl", ...options }), { answer, task, level } = problem;
  return { prompt: prompt(problem, thinking), answer, task, level };
}

function prompt({ question }: GeneratedTask, thinking: boolean): ChatMessage[] {
  return [
    { role: "system", content: thinking ? thinkingOn : thinkingOff },
    { role: "user", content: question },
  ];
}
