import { type DecoderSpec, parameters } from "../spec.ts";
import { fromFloat32, type StoredDType, toFloat32 } from "./convert.ts";

/** One tensor of a checkpoint; nothing is read before `read`. */
export interface CheckpointEntry {
  /** How the bytes store numbers. */
  readonly dtype: StoredDType;
  /** Sizes of the axes; matrices are [out, in]. */
  readonly shape: readonly number[];
  /** The tensor's little-endian bytes, rotary rows in rotate-half order. */
  read(): Uint8Array;
}

/** A checkpoint of any format, under our names: what a decoder loads from. */
export interface CheckpointSource extends Disposable {
  /** The decoder that the tensors belong to. */
  readonly spec: DecoderSpec;
  /** By parameter name, such as `blocks.3.attention.q.weight`. */
  readonly entries: ReadonlyMap<string, CheckpointEntry>;
  /** Paths of the files to carry along: tokenizer, chat template, generation settings. */
  readonly files: readonly string[];
}

/** Thrown when a checkpoint can't be opened, or when its tensors don't fit its spec. */
export class CheckpointError extends Error {
  /** The class's name. */
  override readonly name = "CheckpointError";
}

/** At most this many tensors are spelled out in one message. */
const LISTED = 20;

/**
 * Checks that a checkpoint holds exactly the tensors of a spec, before anything is allocated.
 * Throws one {@linkcode CheckpointError} that names each missing, surplus and wrong-shaped tensor.
 */
export function checkEntries(
  spec: DecoderSpec,
  entries: ReadonlyMap<string, { readonly shape: readonly number[] }>,
): void {
  const problems: string[] = [];
  const needed = new Set<string>();
  for (const { name, shape } of parameters(spec)) {
    needed.add(name);
    const given = entries.get(name)?.shape;
    if (given === undefined) problems.push(`missing ${name} [${shape.join(", ")}]`);
    else if (given.length !== shape.length || given.some((size, i) => size !== shape[i])) {
      problems.push(`${name} is [${given.join(", ")}] and must be [${shape.join(", ")}]`);
    }
  }
  for (const [name, { shape }] of entries) {
    if (!needed.has(name)) problems.push(`surplus ${name} [${shape.join(", ")}]`);
  }
  if (problems.length === 0) return;
  const more = problems.length > LISTED ? `\n  … and ${problems.length - LISTED} more` : "";
  throw new CheckpointError(
    `checkpoint: ${problems.length} tensors do not fit the spec (${needed.size} needed, ` +
      `${entries.size} given). Use the config that belongs to these weights.\n  ` +
      problems.slice(0, LISTED).join("\n  ") + more,
  );
}

/** The same tensors in another dtype, converted as each is read; {@linkcode fromFloat32} rounds. */
export function castEntries(
  entries: ReadonlyMap<string, CheckpointEntry>,
  dtype: StoredDType,
): Map<string, CheckpointEntry> {
  const cast = (entry: CheckpointEntry): CheckpointEntry => ({
    dtype,
    shape: entry.shape,
    read: () => fromFloat32(dtype, toFloat32(entry.dtype, entry.read())),
  });
  return new Map(
    entries.entries().map(([name, entry]) => [name, entry.dtype === dtype ? entry : cast(entry)]),
  );
}
