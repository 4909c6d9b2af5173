/**
 * Rows of GSM8K (Cobbe et al., "Training verifiers to solve math word problems", 2021): a question, and a solution that
 * ends with `#### answer`.
 *
 * @module
 */
import { setThinking, thinkClose, thinkOpen } from "../../text/mod.ts";
import type { ChatRow } from "./rows.ts";

/** A solution taken apart. */
export interface Gsm8kSolution {
  /** The steps, without the calculator's notes. */
  readonly trace: string;
  /** The number after `####`, without thousands separators. */
  readonly answer: string;
}

/** With which settings of the reasoning switch a question becomes a row. */
export type SwitchSettings = "on" | "off" | "both";

/**
 * The steps and the answer of a GSM8K solution; null where it does not end with `#### answer`.
 *
 * @example
 * ```ts
 * import { gsm8kSolution } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(gsm8kSolution("He pays 20*$60 = $<<20*60=1200>>1200.\n#### 1,200"), {
 *   trace: "He pays 20*$60 = $1200.",
 *   answer: "1200",
 * });
 * ```
 */
export function gsm8kSolution(solution: string): Gsm8kSolution | null {
  const [, steps, number] = /^([\s\S]*?)\s*####\s*(\S+)\s*$/.exec(solution) ?? [];
  if (number === undefined) return null;
  return { trace: steps.replaceAll(/<<[^>]*>>/g, "").trim(), answer: number.replaceAll(",", "") };
}

/**
 * The rows of a question: with the switch on, the steps in a `<think>` block and then the answer; with it off, the
 * answer alone. `fields` go into every row.
 */
export function gsm8kRows(
  question: string,
  { trace, answer }: Gsm8kSolution,
  switches: SwitchSettings,
  fields: Readonly<Record<string, unknown>> = {},
): ChatRow[] {
  const settings = switches === "both" ? [true, false] : [switches === "on"];
  return settings.map((on) => ({
    ...fields,
    answer,
    messages: setThinking([
      { role: "user", content: question },
      {
        role: "assistant",
        content: on ? `${thinkOpen}\n${trace}\n${thinkClose}\n\n${answer}` : answer,
      },
    ], on),
  }));
}
