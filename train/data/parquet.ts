/**
 * Rows of Parquet files, one row group in memory at a time.
 *
 * @module
 */
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  type SchemaTree,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import type { Dataset } from "./dataset.ts";
import { DataError } from "./errors.ts";
import type { ByteFile } from "./files.ts";

/**
 * The rows of a Parquet file, as objects. Whole numbers of 64 bits become numbers where they are safe.
 *
 * Throws DataError for a file that is cut or of an unsupported kind.
 */
export async function parquetRows(file: ByteFile): Promise<Dataset<unknown>> {
  const source = asyncBuffer(file);
  const metadata = await explained(file.name, async () => {
    const found = await parquetMetadataAsync(source);
    assertConsistent(found);
    return found;
  });
  const blocks = metadata.row_groups.map(({ num_rows }) => Number(num_rows));
  const readGroup = groupReader(file.name, source, metadata, blocks);
  return {
    name: file.name,
    count: blocks.reduce((sum, rows) => sum + rows, 0),
    blocks,
    async read(index) {
      const { first, rows } = await readGroup(index);
      return [rows[index - first]];
    },
    where: (index) => `${file.name}, row ${index + 1}`,
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}

/**
 * Every row group has to have the columns of the schema: where they differ hyparquet leaves rejected promises alone, which
 * ends the process. Throws an Error that says what differs.
 */
function assertConsistent(metadata: FileMetaData): void {
  const leaves = (node: SchemaTree): string[] =>
    node.children.length === 0 ? [node.path.join(".")] : node.children.flatMap(leaves);
  const schema = leaves(parquetSchema(metadata));
  if (new Set(schema).size < schema.length) throw new Error("two columns have one name");
  metadata.row_groups.forEach(({ columns, num_rows: rows }, i) => {
    const paths = columns.map(({ meta_data: column }) => column?.path_in_schema.join("."));
    if (paths.join() !== schema.join()) throw new Error(`row group ${i} has other columns`);
    if (rows < 0 || rows > 2 ** 32) throw new Error(`row group ${i} has ${rows} rows`);
  });
}

interface RowGroup {
  /** Number of its first row. */
  readonly first: number;
  readonly rows: readonly unknown[];
}

/** Reads the row group that a row lies in, and keeps the last one. */
function groupReader(
  name: string,
  source: AsyncBuffer,
  metadata: FileMetaData,
  blocks: readonly number[],
): (index: number) => Promise<RowGroup> {
  let kept: { readonly first: number; readonly group: Promise<RowGroup> } | null = null;
  return (index) => {
    let first = 0, block = 0;
    while (index >= first + blocks[block]) first += blocks[block++];
    if (kept?.first !== first) {
      const range = { rowStart: first, rowEnd: first + blocks[block] };
      const group = explained(name, async () => ({
        first,
        rows: (await parquetReadObjects({ file: source, metadata, compressors, ...range }))
          .map(plainNumbers),
      }));
      kept = { first, group };
    }
    return kept.group;
  };
}

function asyncBuffer(file: ByteFile): AsyncBuffer {
  const within = (place: number): number => Math.min(Math.max(place, 0), file.size);
  return {
    byteLength: file.size,
    // A range that cannot be gives fewer bytes, which decoding stumbles over: an error here would reach nobody.
    slice(start, end = file.size) {
      const first = within(start);
      return file.read(first, Math.max(within(end) - first, 0)).slice().buffer;
    },
  };
}

async function explained<T>(name: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw new DataError(
      `${name}: it cannot be read as Parquet, ${(error as Error).message}. ` +
        "Copy the file again, whole, or write it without encryption and rare encodings.",
    );
  }
}

function plainNumbers(value: unknown): unknown {
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (Array.isArray(value)) return value.map(plainNumbers);
  if (
    typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype
  ) {
    return value;
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, plainNumbers(inner)]),
  );
}
