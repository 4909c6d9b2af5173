/**
 * Files as bytes at a place, gzip unpacked, and the files that a path stands for.
 *
 * @module
 */
import { basename, join } from "node:path";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { DataError } from "./errors.ts";

/** Bytes that can be read at any place. */
export interface ByteFile {
  /** The path as it was given. */
  readonly name: string;
  /** In bytes, unpacked. */
  readonly size: number;
  /** Bytes from a place on; fewer where the file ends. */
  read(start: number, length: number): Uint8Array;
  /** All bytes in order. A chunk is valid until the next one is asked for. */
  chunks(): Iterable<Uint8Array>;
  /** Closes what is open. */
  [Symbol.dispose](): void;
}

const chunkBytes = 2 ** 20;

/**
 * Opens a file; what gzip packed is unpacked into a temporary file, so that its rows can be reached in any order.
 *
 * Throws DataError for a missing or empty file, one that is no file, and one that gzip cannot unpack.
 */
export async function openBytes(path: string): Promise<ByteFile> {
  const { size } = fileInfo(path);
  if (size === 0) {
    throw new DataError(`${path}: the file is empty (0 bytes). Give one with rows in it.`);
  }
  const plain = plainFile(path, size);
  const head = plain.read(0, 2);
  if (head[0] === 0x1f && head[1] === 0x8b) return await unpack(path);
  return plain;
}

/**
 * The data files that a path stands for: itself, or the files of a folder and the folders in it, by name. Hidden files
 * are left out. Throws DataError where there are none.
 */
export function listFiles(path: string): string[] {
  if (!fileInfo(path).isDirectory) return [path];
  const files = filesOf(path);
  if (files.length === 0) {
    throw new DataError(`${path}: the folder has no files (0). Give one with data in it.`);
  }
  return files;
}

function filesOf(folder: string): string[] {
  const entries = [...Deno.readDirSync(folder)].filter(({ name }) => !name.startsWith("."));
  entries.sort((a, b) => a.name < b.name ? -1 : 1); // the same on every machine, whatever its language
  return entries.flatMap(({ name, isDirectory }) => {
    const path = join(folder, name);
    return isDirectory ? filesOf(path) : [path];
  });
}

function fileInfo(path: string): Deno.FileInfo {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new DataError(`${path}: there is no such file or folder. Check the path.`);
  }
}

/** Opened for each read, which costs microseconds: a folder may have more files than a process may hold open. */
function plainFile(path: string, size: number): ByteFile {
  return {
    name: path,
    size,
    read(start, length) {
      using file = Deno.openSync(path);
      return readAt(file, start, length);
    },
    *chunks() {
      using file = Deno.openSync(path);
      yield* readChunks(file);
    },
    [Symbol.dispose]: () => {},
  };
}

function readAt(file: Deno.FsFile, start: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  file.seekSync(start, Deno.SeekMode.Start);
  let filled = 0;
  while (filled < length) {
    const read = file.readSync(bytes.subarray(filled));
    if (read === null) break;
    filled += read;
  }
  return bytes.subarray(0, filled);
}

function* readChunks(file: Deno.FsFile): Iterable<Uint8Array> {
  const buffer = new Uint8Array(chunkBytes);
  file.seekSync(0, Deno.SeekMode.Start);
  for (let read = file.readSync(buffer); read !== null; read = file.readSync(buffer)) {
    yield buffer.subarray(0, read);
  }
}

async function unpack(path: string): Promise<ByteFile> {
  const temporary = await Deno.makeTempFile({ prefix: `denotron-${basename(path)}-` });
  const file = await Deno.open(temporary, { read: true, write: true });
  // Without a name it is gone when the process is, however that ends.
  await Deno.remove(temporary);
  try {
    using packed = await Deno.open(path);
    // node:zlib unpacks files of several members, as parallel compressors write them; DecompressionStream does not.
    await pipeline(
      Readable.from(readChunks(packed)),
      createGunzip(),
      new Writable({
        write(chunk: Uint8Array, _encoding, done) {
          for (let at = 0; at < chunk.length;) at += file.writeSync(chunk.subarray(at));
          done();
        },
      }),
    );
  } catch (error) {
    file.close();
    if (
      !("code" in (error as Error)) || !String((error as { code: unknown }).code).startsWith("Z_")
    ) {
      throw error;
    }
    throw new DataError(
      `${path}: gzip cannot unpack it, ${(error as Error).message}. Copy the file again, whole.`,
    );
  }
  return {
    name: path,
    size: file.statSync().size,
    read: (start, length) => readAt(file, start, length),
    chunks: () => readChunks(file),
    [Symbol.dispose]: () => file.close(),
  };
}
