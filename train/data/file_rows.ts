/**
 * The rows of one file, read when asked for: JSON Lines, JSON arrays and plain text.
 *
 * @module
 */
import type { Dataset } from "./dataset.ts";
import { DataError, RowError } from "./errors.ts";
import type { ByteFile } from "./files.ts";
import { elementSpans, lineSpans, pieceSpans, type SpanIndex, type TextCut } from "./spans.ts";

/** A longer row is more likely a file of another format; V8 could not hold much more in a string. */
const longestRow = 64 * 2 ** 20;

/** The values of a file with one JSON value a line. Blank lines give nothing. */
export function jsonLines(file: ByteFile): Dataset<unknown> {
  const where = (index: number): string => `${file.name}, line ${index + 1}`;
  return jsonValues(file, lineSpans(file.chunks()), where);
}

/** The elements of a file that holds one JSON array. Throws DataError where its brackets do not close. */
export function jsonArray(file: ByteFile): Dataset<unknown> {
  const spans = elementSpans(file.chunks());
  if (spans === null) {
    throw new DataError(
      `${file.name}: it begins as a JSON array but does not end as one (${file.size} bytes). ` +
        "Copy the file again, whole, or write one JSON object a line and call it .jsonl.",
    );
  }
  return jsonValues(file, spans, (index) => `${file.name}, element ${index + 1}`);
}

/** The documents of a plain text, or pieces of them, as values with `text` as in JSON rows; see `TextRow`. */
export function textPieces(file: ByteFile, cut: TextCut): Dataset<unknown> {
  const spans = pieceSpans(file.chunks(), cut);
  const end = (index: number): number => spans.start(index) + spans.length(index);
  const where = (index: number): string => `${file.name}, from byte ${spans.start(index)}`;
  return {
    ...fileRows(file, spans, where),
    read(index) {
      const text = readText(file, spans, index, where);
      if (text.trim() === "") return Promise.resolve([]);
      const continues = index > 0 && end(index - 1) === spans.start(index);
      const continued = index + 1 < spans.count && end(index) === spans.start(index + 1);
      return Promise.resolve([{
        text,
        ...(continues ? { continues } : {}),
        ...(continued ? { continued } : {}),
      }]);
    },
  };
}

function jsonValues(
  file: ByteFile,
  spans: SpanIndex,
  where: (index: number) => string,
): Dataset<unknown> {
  return {
    ...fileRows(file, spans, where),
    read(index) {
      const text = readText(file, spans, index, where);
      return Promise.resolve(text.trim() === "" ? [] : [parse(text, where(index))]);
    },
  };
}

function fileRows(
  file: ByteFile,
  spans: SpanIndex,
  where: (index: number) => string,
): Omit<Dataset<unknown>, "read"> {
  return {
    name: file.name,
    count: spans.count,
    blocks: null,
    where,
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}

function readText(
  file: ByteFile,
  spans: SpanIndex,
  index: number,
  where: (index: number) => string,
): string {
  const length = spans.length(index);
  if (length > longestRow) {
    throw new RowError(
      `${where(index)}: it is too long, ${length} bytes (${longestRow} at most). ` +
        "Break it into shorter rows, or name the file after its format.",
    );
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(file.read(spans.start(index), length));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new RowError(
      `${where(index)}: it is not UTF-8 (${length} bytes). Save the file as UTF-8.`,
    );
  }
}

function parse(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RowError(
      `${where}: it is not JSON, ${(error as Error).message}. ` +
        "Correct it, or skip such rows with --on-bad-row skip.",
    );
  }
}
