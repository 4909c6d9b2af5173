/**
 * Rows as a person looks at them: what is trained stands out.
 *
 * @module
 */
import { styleText } from "node:util";
import type { Tokenizer } from "../../text/mod.ts";
import type { Dataset } from "./dataset.ts";
import { RowError } from "./errors.ts";
import type { Row } from "./rows.ts";
import { rowEncoder, type TokenSequence } from "./row_encoder.ts";
import type { TokenizeOptions } from "./tokenize.ts";

/** How trained tokens stand out. */
export interface MaskStyle {
  /** Trained text in green for terminals, else in square brackets (default false). */
  readonly color?: boolean;
}

/** What to show of rows. */
export interface DescribeOptions extends TokenizeOptions, MaskStyle {
  /** The first row, from 0 (default 0). */
  readonly from?: number;
  /** How many rows (default 3). */
  readonly rows?: number;
}

/**
 * The text of a sequence with its trained tokens marked, special tokens written out.
 *
 * @example
 * ```ts
 * import { renderMask } from "@denotron/denotron/train";
 * import { trainBpe } from "@denotron/denotron/text";
 * import assert from "node:assert/strict";
 *
 * const tokenizer = trainBpe(["ab"], { vocabularySize: 256 }).tokenizer();
 * const sequence = { ids: Int32Array.from(tokenizer.encode("2+2=4")), trained: Uint8Array.of(0, 0, 0, 0, 1) };
 * assert.equal(renderMask(sequence, tokenizer), "2+2=[4]");
 * ```
 */
export function renderMask(
  { ids, trained }: TokenSequence,
  tokenizer: Tokenizer,
  { color = false }: MaskStyle = {},
): string {
  const mark = (text: string): string => color ? greenLines(text) : `[${text}]`;
  const stream = tokenizer.stream();
  let shown = "", run = "";
  for (let i = 0; i < ids.length; i++) {
    // A character of several tokens appears with the last of them.
    run += stream.push(ids[i]);
    const isLast = i + 1 === ids.length;
    if (!isLast && trained[i + 1] === trained[i]) continue;
    if (isLast) run += stream.flush();
    const text = visible(run);
    shown += trained[i] === 1 ? mark(text) : text;
    run = "";
  }
  return shown;
}

/** Each line on its own, so that a pager shows the colour of every one of them. */
function greenLines(text: string): string {
  const green = (line: string): string =>
    line === "" ? "" : styleText("green", line, { validateStream: false });
  return text.split("\n").map(green).join("\n");
}

/** Control characters as escapes: text from files must not command the terminal. */
function visible(text: string): string {
  const escape = (control: string): string =>
    `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`;
  return text.replace(/(?![\n\t])\p{Cc}/gu, escape);
}

/**
 * Lines about rows: where each one is, how many tokens it has and how many of them are trained, and its text with these
 * marked. A row that cannot be used has its error in place of the text.
 */
export async function describeRows(
  dataset: Dataset<Row>,
  options: DescribeOptions,
): Promise<string[]> {
  const { from = 0, rows = 3 } = options;
  const encode = rowEncoder(options);
  const lines: string[] = [];
  for (let index = from; index < Math.min(from + rows, dataset.count); index++) {
    if (lines.length > 0) lines.push("");
    lines.push(dataset.where(index));
    try {
      for (const row of await dataset.read(index)) lines.push(...describe(encode(row), options));
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      lines.push(visible(error.message));
    }
  }
  return lines;
}

function describe(sequence: TokenSequence, options: DescribeOptions): string[] {
  const trained = sequence.trained.reduce((sum, one) => sum + one, 0);
  const tokens = sequence.ids.length;
  const over = tokens - 1 > options.context
    ? `, longer than the context of ${options.context}`
    : "";
  return [
    `${tokens} tokens, ${trained} trained${over}`,
    ...renderMask(sequence, options.tokenizer, options).split("\n"),
  ];
}
