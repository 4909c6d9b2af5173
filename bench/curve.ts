/**
 * A small decoder learns the characters of a text from scratch, beside PyTorch with the same weights, data and numbers.
 *
 * @module
 */
import { join } from "node:path";
import { Decoder } from "../nn/mod.ts";
import { device, RandomKey, writeSafetensors } from "../tensor/mod.ts";
import {
  type BatchSource,
  cosineSchedule,
  pretrainStage,
  type RunSink,
  type TokenBatch,
  train,
} from "../train/mod.ts";
import { runTorch } from "./peers/peer.ts";
import { beside, type Row } from "./report.ts";
import { llamaSpec } from "./trainer.ts";

const layers = { dim: 128, layers: 6, heads: 4, kvHeads: 2, hidden: 384 };
const batch = 8, time = 128, steps = 300, warmup = 20;
const optimizer = { beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 };
const lr = cosineSchedule({ peak: 1e-3, end: 1e-4, warmup, steps });
const types = ["f32", "bf16"] as const;

/** Loss of each step, and tokens per second. */
interface Curve {
  readonly losses: readonly number[];
  readonly tokensPerSecond: number;
}

/** Each character as a number; windows of it, [steps][batch · (time + 1)]. */
interface Characters {
  readonly vocab: number;
  readonly windows: readonly Int32Array[];
}

/**
 * Rows of both curves, in f32 and bf16. `text` names a file, such as that of tiny Shakespeare. PyTorch has as many threads
 * as we have, which `DENOTRON_THREADS` sets.
 */
export async function curve(text: string, peer: boolean): Promise<Row[]> {
  const data = readCharacters(text), folder = Deno.makeTempDirSync();
  try {
    const ours: Record<string, Curve> = {};
    for (const dtype of types) ours[dtype] = await learn(data, dtype, folder);
    const theirs = peer ? torchCurves(data, folder) : {};
    return types.flatMap((dtype) => rowsOf(dtype, ours[dtype], theirs[dtype]));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function readCharacters(path: string): Characters {
  const characters = [...Deno.readTextFileSync(path)];
  const numbers = new Map([...new Set(characters)].sort().map((character, i) => [character, i]));
  const ids = Int32Array.from(characters, (character) => numbers.get(character)!);
  const key = new RandomKey(0).derive("curve");
  const windows = Array.from({ length: steps }, (_, step) => {
    const rows = Array.from({ length: batch }, (_, row) => {
      const start = Math.floor(
        key.uniform(step * batch + row) * (ids.length - time),
      );
      return ids.subarray(start, start + time + 1);
    });
    return Int32Array.from(rows.flatMap((row) => [...row]));
  });
  return { vocab: numbers.size, windows };
}

/** One step's rows, and the character after each one. */
function tokenBatch(window: Int32Array): TokenBatch {
  const rows = Array.from(
    { length: batch },
    (_, row) => window.subarray(row * (time + 1), (row + 1) * (time + 1)),
  );
  return {
    ids: Int32Array.from(rows.flatMap((row) => [...row.subarray(0, -1)])),
    targets: Int32Array.from(rows.flatMap((row) => [...row.subarray(1)])),
    lengths: rows.map(() => time),
  };
}

/** Trains a decoder; the weights that it begins with are left in `folder`. */
async function learn(
  { vocab, windows }: Characters,
  dtype: "f32" | "bf16",
  folder: string,
): Promise<Curve> {
  using model = new Decoder(llamaSpec({ vocab, ...layers }, time), { dtype });
  if (dtype === "f32") model.save(join(folder, "model"));
  const batches: BatchSource<TokenBatch> = {
    next: (step) => Promise.resolve([tokenBatch(windows[step - 1])]),
    state: () => null,
    restore: () => {},
  };
  const losses: number[] = [], seconds: number[] = [];
  const run: RunSink = {
    folder: null,
    interrupted: false,
    metrics(_, { loss, step_time }) {
      losses.push(loss);
      seconds.push(step_time);
    },
    sample: () => {},
    warn: (text) => console.error(text),
  };
  await train(pretrainStage({ model, batches }), { steps, lr, optimizer }, run);
  const middle = seconds.toSorted((a, b) => a - b)[Math.floor(steps / 2)];
  return { losses, tokensPerSecond: batch * time / middle };
}

function torchCurves(
  { vocab, windows }: Characters,
  folder: string,
): Readonly<Record<string, Curve | undefined>> {
  const bytes = (window: Int32Array): Uint8Array => new Uint8Array(window.buffer);
  writeSafetensors(join(folder, "windows.safetensors"), [{
    name: "windows",
    dtype: "I32",
    shape: [steps, batch, time + 1],
    chunks: () => windows.map(bytes),
  }]);
  const rates = Array.from({ length: steps }, (_, i) => lr(i + 1));
  const { threads } = device("cpu");
  const numbers = { vocab, ...layers, threads, rates, ...optimizer };
  Deno.writeTextFileSync(join(folder, "numbers.json"), JSON.stringify(numbers));
  return runTorch<Record<string, Curve>>("torch_curve.py", [folder]) ?? {};
}

function rowsOf(dtype: string, ours: Curve, theirs: Curve | undefined): Row[] {
  const rows = [100, 200, 300].map((step) => {
    // Of ten steps, since each step has other data.
    const mean = ({ losses }: Curve): number =>
      losses.slice(step - 10, step).reduce((sum, loss) => sum + loss, 0) / 10;
    const row = { name: `${dtype} loss at ${step}`, value: mean(ours), unit: "nats" };
    return beside(row, "torch", theirs && mean(theirs), true);
  });
  const speed = { name: `${dtype} speed`, value: ours.tokensPerSecond, unit: "tok/s" };
  const all = [...rows, beside(speed, "torch", theirs?.tokensPerSecond)];
  if (!theirs) return all;
  const apart = ours.losses.map((loss, i) => Math.abs(loss / theirs.losses[i] - 1));
  return [...all, {
    name: `${dtype} curves apart`,
    value: 100 * Math.max(...apart),
    unit: "% at the worst step",
  }];
}
