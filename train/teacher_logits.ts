/**
 * A teacher's predictions on disk, so that it need not run beside its student.
 *
 * @module
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError, type Decoder, fromFloat32, toFloat32 } from "../nn/mod.ts";
import { noGrad, permutation, RandomKey, scope, Tensor } from "../tensor/mod.ts";
import {
  SafetensorsFile,
  type SafetensorsInput,
  writeAtomically,
  writeSafetensors,
} from "../tensor/safetensors.ts";
import type { BatchSource, Json, TokenBatch } from "./stage.ts";

/** A micro-batch with what a teacher predicts there. */
export interface TeacherBatch extends TokenBatch {
  /** The K most likely tokens at each place, [tokens · K]. */
  readonly topIndices: Int32Array;
  /** Their logits, [tokens · K]. */
  readonly topLogits: Float32Array;
}

/** How predictions are stored. */
export interface WriteTeacherOptions {
  /** How many logits of each token are kept; 100 by default, or the whole vocabulary where that is less. */
  readonly topK?: number;
  /** How logits are stored; bf16 by default. */
  readonly dtype?: "f32" | "f16" | "bf16";
  /** Micro-batches of one file; 64 by default. */
  readonly batchesPerShard?: number;
  /** Steps to take from the batches; until they end by default. */
  readonly steps?: number;
  /** Called after each step. */
  readonly progress?: (step: number) => void;
}

/** `teacher.json`. */
interface TeacherFile {
  readonly format: "denotron teacher logits 1";
  readonly vocab: number;
  readonly topK: number;
  readonly tokens: number;
  readonly shards: readonly { readonly file: string; readonly batches: number }[];
}

const indexFile = "teacher.json";
/** Tokens whose whole rows of logits are there at once. */
const rowsAtOnce = 256;

/**
 * Runs a teacher over batches and writes the largest logits of every token: `teacher.json` and safetensors files with
 * `<batch>.ids`, `.targets`, `.lengths`, `.indices` and `.logits`. `teacher.json` comes last, so a folder without it is
 * not finished.
 */
export async function writeTeacherLogits(
  teacher: Decoder,
  batches: BatchSource<TokenBatch>,
  folder: string,
  options: WriteTeacherOptions = {},
): Promise<void> {
  const { vocab } = teacher.spec, { topK = 100, dtype = "bf16", batchesPerShard = 64 } = options;
  const k = Math.min(topK, vocab), shards: { file: string; batches: number }[] = [];
  mkdirSync(folder, { recursive: true });
  let pending: TeacherBatch[] = [], tokens = 0;
  const flush = (): void => {
    if (pending.length === 0) return;
    const file = `teacher-${String(shards.length).padStart(5, "0")}.safetensors`;
    writeSafetensors(join(folder, file), pending.flatMap((batch, i) => tensorsOf(batch, i, dtype)));
    shards.push({ file, batches: pending.length });
    pending = [];
  };
  for (let step = 1; step <= (options.steps ?? Infinity); step++) {
    const next = await batches.next(step);
    if (next === null) break;
    for (const batch of next) {
      pending.push(topLogits(teacher, batch, k));
      tokens += batch.ids.length;
      if (pending.length >= batchesPerShard) flush();
    }
    options.progress?.(step);
  }
  flush();
  const index: TeacherFile = {
    format: "denotron teacher logits 1",
    vocab,
    topK: k,
    tokens,
    shards,
  };
  const bytes = new TextEncoder().encode(JSON.stringify(index, null, 2) + "\n");
  writeAtomically(join(folder, indexFile), (write) => write(bytes));
}

/** A micro-batch with a decoder's largest logits; a few rows of logits are there at a time. */
function topLogits(teacher: Decoder, batch: TokenBatch, k: number): TeacherBatch {
  const { ids, lengths } = batch, tokens = ids.length;
  const topIndices = new Int32Array(tokens * k), topLogits = new Float32Array(tokens * k);
  noGrad(() =>
    scope(() => {
      const hidden = teacher.hidden(Tensor.from(ids, [tokens], { dtype: "i32" }), { lengths });
      for (let start = 0; start < tokens; start += rowsAtOnce) {
        scope(() => {
          const rows = hidden.slice(0, start, Math.min(tokens, start + rowsAtOnce));
          const [values, indices] = teacher.project(rows).topK(k);
          topLogits.set(values.data(), start * k);
          topIndices.set(indices.data(), start * k);
        });
      }
    })
  );
  return { ...batch, topIndices, topLogits };
}

function tensorsOf(
  { ids, targets, lengths, topIndices, topLogits }: TeacherBatch,
  i: number,
  dtype: "f32" | "f16" | "bf16",
): SafetensorsInput[] {
  const shape = [ids.length, topIndices.length / ids.length];
  const integers = (name: string, values: Int32Array, shape: number[]): SafetensorsInput => ({
    name: `${i}.${name}`,
    dtype: "I32",
    shape,
    chunks: () => [new Uint8Array(values.buffer, values.byteOffset, values.byteLength)],
  });
  return [
    integers("ids", ids, [ids.length]),
    integers("targets", targets, [targets.length]),
    integers("lengths", Int32Array.from(lengths), [lengths.length]),
    integers("indices", topIndices, shape),
    {
      name: `${i}.logits`,
      dtype: dtype.toUpperCase() as "F32" | "F16" | "BF16",
      shape,
      chunks: () => [fromFloat32(dtype, topLogits)],
    },
  ];
}

/** How stored predictions are read. */
export interface ReadTeacherOptions {
  /** Micro-batches of each step; 1 by default. */
  readonly microBatches?: number;
  /** Decides their order, anew for each time around; in the order written when absent. */
  readonly seed?: number;
  /** Whether they come again when all were read; true by default. */
  readonly repeat?: boolean;
}

/** The batches that `writeTeacherLogits()` wrote. Throws CheckpointError for another folder, or another vocabulary. */
export function readTeacherLogits(
  folder: string,
  vocab: number,
  { microBatches = 1, seed, repeat = true }: ReadTeacherOptions = {},
): BatchSource<TeacherBatch> {
  const { shards } = readIndex(folder, vocab);
  const places = shards.flatMap(({ file, batches }) =>
    Array.from({ length: batches }, (_, i) => ({ file, i }))
  );
  const placeOf = (draw: number): { readonly file: string; readonly i: number } => {
    const epoch = Math.floor(draw / places.length), at = draw % places.length;
    if (seed === undefined) return places[at];
    const key = new RandomKey(seed).derive("teacher").derive(epoch);
    return places[permutation(places.length, key)[at]];
  };
  let draws = 0;
  return {
    next() {
      const left = repeat ? Infinity : places.length - draws;
      const count = Math.min(microBatches, left);
      if (count <= 0 || places.length === 0) return Promise.resolve(null);
      const taken = Array.from({ length: count }, () => placeOf(draws++));
      return Promise.resolve(taken.map(({ file, i }) => readBatch(join(folder, file), i)));
    },
    state: (): Json => draws,
    restore(state) {
      draws = state as number;
    },
  };
}

function readIndex(folder: string, vocab: number): TeacherFile {
  let index: TeacherFile;
  try {
    index = JSON.parse(readFileSync(join(folder, indexFile), "utf8"));
  } catch (error) {
    throw new CheckpointError(
      `distill: ${folder} holds no finished teacher logits, ${
        (error as Error).message
      }. Write them first.`,
      { cause: error },
    );
  }
  if (index.vocab === vocab) return index;
  throw new CheckpointError(
    `distill: the logits in ${folder} are of another vocabulary (${index.vocab} vs ${vocab}). ` +
      `Write them with a teacher that has the student's.`,
  );
}

function readBatch(path: string, i: number): TeacherBatch {
  const file = SafetensorsFile.open(path);
  try {
    const integers = (name: string): Int32Array =>
      new Int32Array(file.read(`${i}.${name}`).slice().buffer);
    const { dtype } = file.entries.get(`${i}.logits`)!;
    const stored = dtype.toLowerCase() as "f32" | "f16" | "bf16";
    return {
      ids: integers("ids"),
      targets: integers("targets"),
      lengths: [...integers("lengths")],
      topIndices: integers("indices"),
      topLogits: toFloat32(stored, file.read(`${i}.logits`)),
    };
  } finally {
    file.close();
  }
}
