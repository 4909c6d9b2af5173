/**
 * What a check of the GPU is.
 *
 * @module
 */

/** `yes` and `no` as the question asks; `not here` where it cannot be asked. */
export type Verdict = "yes" | "no" | "not here";

/** What was found. */
export interface Answer {
  readonly verdict: Verdict;
  /** In words. */
  readonly text: string;
  /** The numbers and names that were measured or read. */
  readonly figures: Readonly<Record<string, number | string>>;
}

/** What checks are run on. */
export interface Subject {
  /** Whether it is the simulated GPU, on which figures mean nothing. */
  readonly simulated: boolean;
  /** Whether sizes are small. */
  readonly tiny: boolean;
}

/** One question. */
export interface Check {
  readonly question: string;
  /** Whether the answer has to be yes for results to be right. */
  readonly required: boolean;
  run(subject: Subject): Answer | Promise<Answer>;
}

/** An answer for where a question cannot be asked. */
export function notHere(text: string): Answer {
  return { verdict: "not here", text, figures: {} };
}

/** Yes when `holds`, no otherwise. */
export function answer(
  holds: boolean,
  text: string,
  figures: Readonly<Record<string, number | string>> = {},
): Answer {
  return { verdict: holds ? "yes" : "no", text, figures };
}
