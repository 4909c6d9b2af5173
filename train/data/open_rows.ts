/**
 * Files and folders as rows: the kind of file is told by its name or its first bytes, the format by its first row.
 *
 * @module
 */
import { concatRows, type Dataset, mapRows } from "./dataset.ts";
import { DataError, RowError, withPlace } from "./errors.ts";
import { isFields, kindOf } from "./fields.ts";
import { jsonArray, jsonLines, textPieces } from "./file_rows.ts";
import { type ByteFile, listFiles, openBytes } from "./files.ts";
import { formatOf, type FormatOptions, type RowFormat, rowFormats } from "./formats.ts";
import { parquetRows } from "./parquet.ts";
import type { Row } from "./rows.ts";
import type { TextCut } from "./spans.ts";

/** How to open files of rows. */
export interface OpenOptions extends FormatOptions, Partial<TextCut> {
  /** Told which format each file was found to have. */
  readonly tell?: (line: string) => void;
}

/**
 * The rows of files: JSON Lines, JSON arrays, Parquet, plain text, any of them packed by gzip, and folders of them.
 *
 * Memory does not grow with the rows but for 12 bytes each; of Parquet files one row group is held. Throws DataError for
 * what cannot be rows at all; rows that are wrong throw RowError when they are read.
 *
 * @example
 * ```ts
 * import { openRows } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * const path = await Deno.makeTempFile({ suffix: ".jsonl" });
 * await Deno.writeTextFile(path, '{"prompt": "1 + 1 =", "completion": " 2"}\n');
 * using rows = await openRows([path]);
 * assert.deepEqual(await rows.read(0), [{ prompt: "1 + 1 =", completion: " 2" }]);
 * await Deno.remove(path);
 * ```
 */
export async function openRows(
  paths: readonly string[],
  options: OpenOptions = {},
): Promise<Dataset<Row>> {
  const opened: Dataset<Row>[] = [];
  try {
    for (const path of paths.flatMap(listFiles)) opened.push(await openFile(path, options));
  } catch (error) {
    opened.forEach((dataset) => dataset[Symbol.dispose]());
    throw error;
  }
  return opened.length === 1 ? opened[0] : concatRows(opened, paths.join(", "));
}

async function openFile(path: string, options: OpenOptions): Promise<Dataset<Row>> {
  const file = await openBytes(path);
  try {
    const { kind, values } = await valuesOf(file, options);
    const format = await firstFormat(values);
    options.tell?.(`${path}: ${kind}, ${values.count} rows, ${format.name}`);
    return mapRows(
      values,
      (items, row) => items.flatMap((item) => toRows(item, format, options, values.where(row))),
    );
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

interface FileValues {
  readonly kind: string;
  readonly values: Dataset<unknown>;
}

const textName = /\.(txt|text|md)(\.gz)?$/i;

/** What a file holds. A name that says text is believed; everything else is told by how the file begins. */
async function valuesOf(file: ByteFile, options: OpenOptions): Promise<FileValues> {
  const { separator, pieceBytes = 2 ** 14 } = options;
  const head = file.read(0, 4096);
  if (new TextDecoder().decode(head.subarray(0, 4)) === "PAR1") {
    return { kind: "Parquet", values: await parquetRows(file) };
  }
  if ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff)) {
    throw new DataError(`${file.name}: it is UTF-16. Save it as UTF-8.`);
  }
  const begins = new TextDecoder().decode(head).trimStart();
  if (!textName.test(file.name)) {
    if (begins.startsWith("[")) return { kind: "JSON array", values: jsonArray(file) };
    if (begins.startsWith("{") || /\.(jsonl|ndjson|json)(\.gz)?$/i.test(file.name)) {
      return { kind: "JSON Lines", values: jsonLines(file) };
    }
    if (head.includes(0)) {
      throw new DataError(
        `${file.name}: it is neither text nor Parquet (a zero byte at ${head.indexOf(0)}). ` +
          "Give JSON Lines, a JSON array, Parquet or plain text.",
      );
    }
  }
  const cut = separator === undefined ? { pieceBytes } : { separator, pieceBytes };
  return { kind: "plain text", values: textPieces(file, cut) };
}

/** The format of the first row that can be read. Throws DataError where there is none, or it is of no known format. */
async function firstFormat(values: Dataset<unknown>): Promise<RowFormat> {
  let wrong: RowError | null = null;
  for (let index = 0; index < values.count; index++) {
    try {
      const [value] = await values.read(index);
      if (value === undefined) continue;
      const format = formatOf(value);
      if (format === null) throw new RowError(unknownFormat(value, values.where(index)));
      return format;
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      wrong ??= error;
    }
  }
  if (wrong !== null) throw new DataError(wrong.message);
  throw new DataError(`${values.name}: it has no rows (${values.count} blank). Give some.`);
}

function unknownFormat(value: unknown, where: string): string {
  const given = isFields(value)
    ? `fields ${Object.keys(value).slice(0, 12).join(", ") || "none"}`
    : kindOf(value);
  const known = rowFormats.map(({ fields }) => fields.join(" + ")).join("; ");
  return `${where}: the format is unknown, ${given}. Rows have one of: ${known}.`;
}

function toRows(
  value: unknown,
  format: RowFormat,
  options: FormatOptions,
  where: string,
): readonly Row[] {
  const fits = isFields(value) && format.fields.every((field) => value[field] !== undefined);
  if (!fits) {
    const lacks = isFields(value)
      ? `it has no "${format.fields.find((field) => value[field] === undefined)}"`
      : `it is ${kindOf(value)}`;
    throw new RowError(
      `${where}: ${lacks}, the file's rows are ${format.name}. ` +
        "Correct it, or skip such rows with --on-bad-row skip.",
    );
  }
  return withPlace(where, () => format.rows(value, options));
}
