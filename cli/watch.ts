/**
 * Hearing how much of a checkpoint has been read.
 *
 * @module
 */
import type { CheckpointEntry } from "../nn/mod.ts";

/** The same tensors; `onRead` hears how many bytes were read of how many, as stored. */
export function watchReads(
  entries: ReadonlyMap<string, CheckpointEntry>,
  onRead: (bytes: number, total: number, name: string) => void,
): Map<string, CheckpointEntry> {
  const sizeOf = ({ shape }: CheckpointEntry): number => shape.reduce((a, b) => a * b, 1);
  const total = entries.values().reduce((sum, entry) => sum + sizeOf(entry), 0);
  let [done, read] = [0, 0];
  return new Map(
    entries.entries().map(([name, entry]) => {
      const watched = (): Uint8Array => {
        const bytes = entry.read();
        done += sizeOf(entry);
        read += bytes.length;
        onRead(read, Math.round(read * total / done), name);
        return bytes;
      };
      return [name, { dtype: entry.dtype, shape: entry.shape, read: watched }];
    }),
  );
}
