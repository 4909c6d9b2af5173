/**
 * Rows as token sequences that fit the context of a model.
 *
 * @module
 */
import type { Dataset } from "./dataset.ts";
import { DataError, withPlace } from "./errors.ts";
import { rowEncoder, type RowEncoderOptions, type TokenSequence } from "./row_encoder.ts";
import { isChat, isCompletion, type Row } from "./rows.ts";

/** What becomes of a conversation or completion that is longer than the context. */
export type TooLongPolicy = "stop" | "skip" | "truncate";

/** How rows become tokens. */
export interface TokenizeOptions extends RowEncoderOptions {
  /** The most tokens that a model reads at once. */
  readonly context: number;
  /** For conversations and completions (default stop); texts are split. */
  readonly tooLong?: TooLongPolicy;
  /** How many ids the model knows (default: as many as the tokenizer). */
  readonly vocabulary?: number;
}

/** What tokenizing did since it began. Rows that are read again after a restore count again. */
export interface TokenCounts {
  /** Rows that gave sequences. */
  rows: number;
  /** Sequences they gave. */
  sequences: number;
  /** Tokens of these. */
  tokens: number;
  /** Tokens to be predicted. */
  trained: number;
  /** Texts that were split. */
  split: number;
  /** Rows that were cut at the context. */
  truncated: number;
  /** Rows left out because they, or what is trained of them, lie beyond the context. */
  tooLong: number;
}

/** Rows as token sequences. */
export interface TokenDataset extends Dataset<TokenSequence> {
  /** What became of the rows so far. */
  readonly counts: Readonly<TokenCounts>;
}

/**
 * The token sequences of rows, each of at most `context` + 1 ids: `context` tokens to read, and one more to predict.
 *
 * A text is all trained, between the tokenizer's beginning of sequence, where it has one, and its end of sequence; a
 * long one is split into sequences that share one token, so each token is predicted once. Of a completion row the
 * completion is trained, of a conversation what the assistant says. A beginning that the text already has is not
 * doubled. Reading throws RowError for a row without a token to train, DataError for an id that the model does not have.
 *
 * @example
 * ```ts
 * import { rowsOf, tokenizeRows } from "@denotron/denotron/train";
 * import { trainBpe } from "@denotron/denotron/text";
 * import assert from "node:assert/strict";
 *
 * const tokenizer = trainBpe(["to be or not to be"], { vocabularySize: 260 }).tokenizer();
 * const rows = rowsOf([{ prompt: "to be", completion: " or" }], "hamlet");
 * const [sequence] = await tokenizeRows(rows, { tokenizer, context: 32 }).read(0);
 * const trained = sequence.ids.filter((_, i) => sequence.trained[i] === 1);
 * assert.equal(tokenizer.decode(trained, { special: false }), " or");
 * ```
 */
export function tokenizeRows(rows: Dataset<Row>, options: TokenizeOptions): TokenDataset {
  const encode = rowEncoder(options);
  const vocabulary = options.vocabulary ?? options.tokenizer.vocabularySize;
  const counts: TokenCounts = {
    ...{ rows: 0, sequences: 0, tokens: 0, trained: 0, split: 0, truncated: 0, tooLong: 0 },
  };
  return {
    name: rows.name,
    count: rows.count,
    blocks: rows.blocks,
    counts,
    async read(index) {
      const where = rows.where(index);
      const sequences = (await rows.read(index)).flatMap((row) => {
        const whole = withPlace(where, () => encode(row));
        assertVocabulary(where, whole.ids, vocabulary);
        return fit(whole, isText(row), where, options, counts);
      });
      count(counts, sequences);
      return sequences;
    },
    where: (index) => rows.where(index),
    [Symbol.dispose]: () => rows[Symbol.dispose](),
  };
}

function isText(row: Row): boolean {
  return !isChat(row) && !isCompletion(row);
}

function assertVocabulary(where: string, ids: Int32Array, vocabulary: number): void {
  const foreign = ids.find((id) => id >= vocabulary);
  if (foreign === undefined) return;
  throw new DataError(
    `${where}: the tokenizer gives id ${foreign}, the model has ${vocabulary} ids ` +
      `(0 to ${vocabulary - 1}). Use the tokenizer that belongs to the model.`,
  );
}

/** The sequences of a row that fit the context. */
function fit(
  whole: TokenSequence,
  mayBeSplit: boolean,
  where: string,
  { context, tooLong = "stop" }: TokenizeOptions,
  counts: TokenCounts,
): TokenSequence[] {
  const tokens = whole.ids.length - 1; // the last one is predicted, never read
  if (tokens <= context) return [whole];
  if (mayBeSplit) {
    counts.split++;
    return split(whole, context);
  }
  if (tooLong === "stop") {
    throw new DataError(
      `${where}: the row is longer than the context, ${tokens} tokens (${context}). ` +
        "Raise the context, or let such rows be skipped or truncated.",
    );
  }
  const cut = part(whole, 0, context + 1);
  if (tooLong === "truncate" && cut.trained.includes(1)) {
    counts.truncated++;
    return [cut];
  }
  counts.tooLong++;
  return [];
}

/** Each part begins with the token that the one before it ends with, so every token is predicted once. */
function split(whole: TokenSequence, context: number): TokenSequence[] {
  const parts: TokenSequence[] = [];
  for (let start = 0; start + 1 < whole.ids.length; start += context) {
    const piece = part(whole, start, start + context + 1);
    piece.trained[0] = 0;
    parts.push(piece);
  }
  return parts;
}

function part({ ids, trained }: TokenSequence, start: number, end: number): TokenSequence {
  return { ids: ids.slice(start, end), trained: trained.slice(start, end) };
}

function count(counts: TokenCounts, sequences: readonly TokenSequence[]): void {
  if (sequences.length > 0) counts.rows++;
  counts.sequences += sequences.length;
  for (const { ids, trained } of sequences) {
    counts.tokens += ids.length - 1;
    counts.trained += trained.reduce((sum, one) => sum + one, 0);
  }
}
