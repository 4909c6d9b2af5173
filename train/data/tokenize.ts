/**
 * Rows as token ids, with the tokens to learn marked.
 *
 * @module
 */
import { ChatTemplate, ChatTemplateError, type Tokenizer, TokenizerError } from "../../text/mod.ts";
import { tokenEnds } from "../../text/offsets.ts";
import type { Dataset } from "./dataset.ts";
import { DataError, RowError, withPlace } from "./errors.ts";
import { type CompletionRow, isChat, isCompletion, type Row, type TextRow } from "./rows.ts";

/** Token ids that belong together, and which of them a model learns to predict. */
export interface TokenSequence {
  /** ids: [tokens]. */
  readonly ids: Int32Array;
  /** trained: [tokens], 1 where the token is to be predicted from those before it. The first is never. */
  readonly trained: Uint8Array;
}

/** What becomes of a conversation or completion that is longer than the context. */
export type TooLongPolicy = "stop" | "skip" | "truncate";

/** How rows become tokens. */
export interface TokenizeOptions {
  readonly tokenizer: Tokenizer;
  /** How conversations are written (default: the tokenizer's own template). */
  readonly template?: ChatTemplate;
  /** The most tokens that a model reads at once. */
  readonly context: number;
  /** For conversations and completions (default stop); texts are split. */
  readonly tooLong?: TooLongPolicy;
  /** How many ids the model knows (default: as many as the tokenizer). */
  readonly vocabulary?: number;
  /** Keep the thinking of what is trained from templates that strip it (default true). */
  readonly keepThinking?: boolean;
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

/** Makes the whole sequence of a row, however long. Throws RowError where nothing of it is trained. */
export function rowEncoder(
  { tokenizer, template = ChatTemplate.for(tokenizer), keepThinking = true }: Omit<
    TokenizeOptions,
    "context"
  >,
): (row: Row) => TokenSequence {
  const frame = framer(tokenizer);
  const encode = (row: Row): TokenSequence => {
    if (isChat(row)) {
      const { ids, mask } = template.encodeTargets(tokenizer, row.messages, {
        keepThinking,
        ...(row.targets === undefined ? {} : { targets: row.targets }),
        ...(row.tools === undefined ? {} : { tools: row.tools }),
      });
      return { ids: Int32Array.from(ids), trained: mask };
    }
    return isCompletion(row)
      ? encodeCompletion(tokenizer, frame, row)
      : encodeText(tokenizer, frame, row as TextRow);
  };
  return (row) => {
    const sequence = asRowError(() => encode(row));
    // Nothing stands before the first token that it could be predicted from.
    sequence.trained[0] = 0;
    if (!sequence.trained.includes(1)) {
      throw new RowError(
        `no token of ${sequence.ids.length} is to be learned. Give the row a text to learn.`,
      );
    }
    return sequence;
  };
}

/** What templates and tokenizers refuse is the row's fault. */
function asRowError<T>(encode: () => T): T {
  try {
    return encode();
  } catch (error) {
    const isRefusal = error instanceof ChatTemplateError || error instanceof TokenizerError;
    throw isRefusal ? new RowError(error.message) : error;
  }
}

/** Puts the beginning and end of a sequence around ids, where they are wanted and not there already. */
type Frame = (ids: readonly number[], parts: { begin: boolean; end: boolean }) => {
  readonly before: readonly number[];
  readonly after: readonly number[];
};

function framer(tokenizer: Tokenizer): Frame {
  const { bos, eos } = tokenizer.special;
  // What the tokenizer puts around a text that stands alone; some end it with an end of sequence themselves.
  const around = tokenizer.encode("", { special: true });
  const begins = bos !== undefined && around.includes(bos) ? [bos] : [];
  return (ids, { begin, end }) => ({
    before: begin && ids[0] !== bos ? begins : [],
    after: end && eos.length > 0 && !eos.includes(ids[ids.length - 1]) ? [eos[0]] : [],
  });
}

function encodeText(tokenizer: Tokenizer, frame: Frame, row: TextRow): TokenSequence {
  const ids = tokenizer.encode(row.text);
  const parts = { begin: row.continues !== true, end: row.continued !== true };
  const { before, after } = frame(ids, parts);
  const whole = Int32Array.from(ids.length === 0 ? [] : [...before, ...ids, ...after]);
  return { ids: whole, trained: new Uint8Array(whole.length).fill(1) };
}

/** The two texts are encoded as one; a token that lies across the border belongs to the completion. */
function encodeCompletion(tokenizer: Tokenizer, frame: Frame, row: CompletionRow): TokenSequence {
  const text = tokenizer.normalize(row.prompt + row.completion);
  const ids = tokenizer.encode(text);
  const ends = tokenEnds(tokenizer, text, ids);
  const border = new TextEncoder().encode(tokenizer.normalize(row.prompt)).length;
  const { before, after } = frame(ids, { begin: true, end: true });
  const trained = new Uint8Array(before.length + ids.length + after.length).fill(1);
  const first = ends.findIndex((end) => end > border);
  trained.fill(0, 0, before.length + (first < 0 ? ids.length : first));
  return { ids: Int32Array.from([...before, ...ids, ...after]), trained };
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
