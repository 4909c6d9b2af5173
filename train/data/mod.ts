/**
 * Data: rows of files, their order and mixture, tokens with masks, and packed batches.
 *
 * @module
 */
export { PackedBatches, packedBatches, type PackedBatchesOptions, tokenBatch } from "./batches.ts";
export type { Cursor } from "./cursor.ts";
export { concatRows, type Dataset, mapRows, rowsOf } from "./dataset.ts";
export { DataError, RowError } from "./errors.ts";
export { filterRows, rowTexts, withoutDuplicates, withoutOverlap } from "./filter.ts";
export type { FormatOptions } from "./formats.ts";
export { gsm8kRows, type Gsm8kSolution, gsm8kSolution, type SwitchSettings } from "./gsm8k.ts";
export { type DescribeOptions, describeRows, type MaskStyle, renderMask } from "./inspect.ts";
export { MixedStream, type MixOptions, type MixPart, mixStreams } from "./mix.ts";
export { type OpenOptions, openRows } from "./open_rows.ts";
export { type PackedRow, PackedRows, packLengths, type PackOptions, packRows } from "./pack.ts";
export { rowEncoder, type RowEncoderOptions, type TokenSequence } from "./row_encoder.ts";
export {
  type ChatRow,
  type CompletionRow,
  isChat,
  isCompletion,
  type Row,
  type TextRow,
} from "./rows.ts";
export type { TextCut } from "./spans.ts";
export { type BadRowPolicy, RowStream, type StreamOptions, streamRows } from "./stream.ts";
export {
  type TokenCounts,
  type TokenDataset,
  type TokenizeOptions,
  tokenizeRows,
  type TooLongPolicy,
} from "./tokenize.ts";
