/**
 * Rows as token ids, with the tokens to learn marked.
 *
 * @module
 */
import { ChatTemplate, ChatTemplateError, type Tokenizer, TokenizerError } from "../../text/mod.ts";
import { tokenEnds } from "../../text/offsets.ts";
import { RowError } from "./errors.ts";
import { type CompletionRow, isChat, isCompletion, type Row, type TextRow } from "./rows.ts";

/** Token ids that belong together, and which of them a model learns to predict. */
export interface TokenSequence {
  /** ids: [tokens]. */
  readonly ids: Int32Array;
  /** trained: [tokens], 1 where the token is to be predicted from those before it. The first is never. */
  readonly trained: Uint8Array;
}

/** How rows are written for a model. */
export interface RowEncoderOptions {
  /** What makes ids of text. */
  readonly tokenizer: Tokenizer;
  /** How conversations are written (default: the tokenizer's own template). */
  readonly template?: ChatTemplate;
  /** Keep the thinking of what is trained from templates that strip it (default true). */
  readonly keepThinking?: boolean;
  /**
   * Train on every target of a conversation, or on the last one only (default all): some templates write earlier turns
   * in another way than the model is to write them.
   */
  readonly targets?: "all" | "last";
}

/** Makes the whole sequence of a row, however long. Throws RowError where nothing of it is trained. */
export function rowEncoder(options: RowEncoderOptions): (row: Row) => TokenSequence {
  const { tokenizer, template = ChatTemplate.for(tokenizer) } = options;
  const { keepThinking = true, targets = "all" } = options;
  const frame = framer(tokenizer);
  const encode = (row: Row): TokenSequence => {
    if (isChat(row)) {
      const { ids, mask } = template.encodeTargets(tokenizer, row.messages, {
        keepThinking,
        targets: targets === "last" ? row.targets?.slice(-1) ?? targets : row.targets ?? targets,
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
