/**
 * Completions as JSON, bit for bit.
 *
 * @module
 */
import type { Json } from "../stage.ts";
import type { TrainedCompletion } from "./batch.ts";

/** Completions as they are kept in a checkpoint. */
export function encodeCompletions(completions: readonly TrainedCompletion[]): Json {
  return completions.map(({ ids, old, reference, importance, ...rest }) => ({
    ...rest,
    ids: encode(ids),
    old: encode(old),
    reference: reference && encode(reference),
    importance: encode(importance),
  }));
}

/** Completions from a checkpoint. */
export function decodeCompletions(saved: Json): TrainedCompletion[] {
  return (saved as Record<string, Json>[]).map((members) => ({
    prompt: members.prompt as number,
    advantage: members.advantage as number,
    trained: members.trained as boolean,
    ids: new Int32Array(decode(members.ids)),
    old: new Float32Array(decode(members.old)),
    reference: members.reference === null ? null : new Float32Array(decode(members.reference)),
    importance: new Float32Array(decode(members.importance)),
  }));
}

function encode(values: Int32Array | Float32Array): string {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength).toBase64();
}

function decode(text: Json): ArrayBuffer {
  return Uint8Array.fromBase64(text as string).buffer;
}
