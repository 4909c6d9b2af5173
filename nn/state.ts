/**
 * Weights as entries of a checkpoint: from tensors, into tensors, and in safetensors files.
 *
 * @module
 */
import {
  bytesOf,
  formatShape,
  type SafetensorsDType,
  SafetensorsFile,
  sameShape,
  type Tensor,
  writeSafetensors,
} from "../tensor/mod.ts";
import { fromFloat32, type StoredDType, toFloat32 } from "./checkpoint/convert.ts";
import { type CheckpointEntry, CheckpointError } from "./checkpoint/source.ts";

/** Weights by dotted name. Nothing is copied before an entry is read. */
export type State = ReadonlyMap<string, CheckpointEntry>;

/** A tensor as a checkpoint's entry, which reads what the tensor holds by then. */
export function entryOf(tensor: Tensor): CheckpointEntry {
  const { dtype, shape } = tensor;
  const read = (): Uint8Array => {
    const bytes = new Uint8Array(tensor.size * bytesOf(dtype));
    tensor.readBytes(bytes);
    return bytes;
  };
  return { dtype, shape, read };
}

/** Copies an entry into a contiguous tensor of its shape, cast to the tensor's type. */
export function copyEntry({ dtype, read }: CheckpointEntry, tensor: Tensor): void {
  const { storage, offset } = tensor, target = tensor.dtype;
  const bytes = dtype === target ? read() : fromFloat32(target, toFloat32(dtype, read()));
  storage.backend.write(storage, offset * bytesOf(target), bytes);
}

/**
 * Throws CheckpointError, naming every tensor and both shapes, unless `state` has entries that fit `tensors`: exactly
 * those when `strict`, else those that both have.
 */
export function checkState(
  state: State,
  tensors: ReadonlyMap<string, Tensor>,
  strict: boolean,
): void {
  const problems: string[] = [];
  for (const [name, { shape }] of tensors) {
    const given = state.get(name)?.shape;
    if (given && !sameShape(given, shape)) {
      problems.push(`${name} is ${formatShape(given)} and must be ${formatShape(shape)}`);
    } else if (!given && strict) problems.push(`missing ${name} ${formatShape(shape)}`);
  }
  for (const [name, { shape }] of strict ? state : []) {
    if (!tensors.has(name)) problems.push(`surplus ${name} ${formatShape(shape)}`);
  }
  if (problems.length === 0) return;
  throw new CheckpointError(
    `load: ${problems.length} tensors do not fit the module (${tensors.size} needed, ` +
      `${state.size} given). Load what belongs to it.\n  ${problems.join("\n  ")}`,
  );
}

/** Opens a safetensors file as weights by name; it stays open until `[Symbol.dispose]`. */
export function openState(path: string): { readonly state: State } & Disposable {
  const file = SafetensorsFile.open(path);
  const entries = [...file.entries].map(([name, { dtype, shape }]): [string, CheckpointEntry] => [
    name,
    { dtype: storedType(dtype), shape, read: () => file.read(name) },
  ]);
  return { state: new Map(entries), [Symbol.dispose]: () => file.close() };
}

/** Writes weights to a safetensors file, one tensor at a time. */
export function writeState(path: string, state: State): void {
  const inputs = state.entries().map(([name, { dtype, shape, read }]) => ({
    name,
    dtype: safetensorsType(dtype),
    shape,
    chunks: () => [read()],
  }));
  writeSafetensors(path, inputs, { format: "pt" });
}

function storedType(dtype: SafetensorsDType): StoredDType {
  return dtype.replace("F8_", "").toLowerCase() as StoredDType;
}

function safetensorsType(dtype: StoredDType): SafetensorsDType {
  return dtype.replace(/^e/, "F8_e").toUpperCase() as SafetensorsDType;
}
