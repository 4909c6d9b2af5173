import assert from "node:assert/strict";
import { type DecoderSpec, parameters } from "../../../nn/spec.ts";
import { fromFloat32, type StoredDType } from "../../../nn/checkpoint/convert.ts";
import type { CheckpointEntry, CheckpointSource } from "../../../nn/checkpoint/source.ts";

/** A checkpoint in memory, whose numbers differ from place to place. */
export function madeCheckpoint(
  spec: DecoderSpec,
  dtype: StoredDType = "f32",
): Pick<CheckpointSource, "spec" | "entries"> {
  const entries = new Map<string, CheckpointEntry>();
  parameters(spec).forEach(({ name, shape }, index) => {
    const length = shape.reduce((a, b) => a * b, 1);
    const values = Float32Array.from({ length }, (_, i) => (i % 251 - 125) / 64 + index);
    entries.set(name, { dtype, shape, read: () => fromFloat32(dtype, values) });
  });
  return { spec, entries };
}

/** Asserts that two checkpoints hold the same tensors, byte for byte. */
export function assertSameTensors(
  actual: Pick<CheckpointSource, "entries">,
  expected: Pick<CheckpointSource, "entries">,
): void {
  assert.deepEqual([...actual.entries.keys()].sort(), [...expected.entries.keys()].sort());
  for (const [name, entry] of expected.entries) {
    const other = actual.entries.get(name)!;
    assert.equal(other.dtype, entry.dtype, name);
    assert.deepEqual(other.shape, entry.shape, name);
    assert.deepEqual(other.read(), entry.read(), name);
  }
}
