import assert from "node:assert/strict";
import type { Op } from "../../tensor/op.ts";
import { CudaBackend } from "../../tensor/backend/cuda.ts";
import { addressOf } from "../../tensor/ops/address.ts";
import { cudaTest, withEnvironment } from "./support.ts";

const source = new URL("./planted.cu", import.meta.url);

/** An op whose kernel has a mistake; it writes `n` f32. */
function planted(entry: string, threads: number): Op<void, readonly []> {
  return {
    name: entry,
    outputs: () => [],
    reference: () => {},
    kernel: {
      source,
      entry,
      cuda: { source, launches: () => [{ blocks: threads / 256, threads: 256 }] },
      arguments: (to, _, [out]) => void to.address(addressOf(out)).integer(out.shape[0]),
    },
    samples: [],
  };
}

/** Runs a planted kernel on a device of its own; returns what it wrote. */
function runPlanted(
  entry: string,
  settings: Readonly<Record<string, string>>,
  { n, threads }: { readonly n: number; readonly threads: number } = { n: 256, threads: 256 },
): Float32Array {
  return withEnvironment({ DENOTRON_CUDA_DEBUG: "1", ...settings }, () => {
    const backend = new CudaBackend(), storage = backend.allocate(4 * n);
    const out = { storage, shape: [n], strides: [1], offset: 0, dtype: "f32" as const };
    backend.run(planted(entry, threads), [], [out], undefined);
    const values = new Float32Array(n);
    backend.read(storage, 0, new Uint8Array(values.buffer));
    return values;
  });
}

const checked = { CUDASIM_CHECK: "1", CUDASIM_ORDER: "forward" };
const simulated = { simulated: true };

cudaTest("a missing barrier shows in one of the orders of threads", () => {
  const wrong = ["forward", "reverse", "shuffled"].map((order) =>
    runPlanted("planted_barrier", { CUDASIM_ORDER: order }).some((value) => value !== 7)
  );
  assert.deepEqual(wrong, [false, true, true]);
}, simulated);

cudaTest("a missing barrier is named when accesses are looked at", () => {
  assert.throws(
    () => runPlanted("planted_barrier", checked),
    /planted_barrier_f32, block \(0, 0, 0\), thread 1: race in shared memory with thread 0 \(a write and a read/,
  );
}, simulated);

cudaTest("two threads that write to one place without a barrier are named", () => {
  assert.throws(
    () => runPlanted("planted_race", checked),
    /planted_race_f32, block .*, thread \d+: race in device memory with thread \d+/,
  );
}, simulated);

cudaTest("threads that wait at different barriers are counted", () => {
  assert.throws(
    () => runPlanted("planted_divergence", { CUDASIM_ORDER: "forward" }),
    /planted_divergence_f32.*barrier divergence: .*threads wait at __shfl_xor_sync.*have returned/,
  );
}, simulated);

cudaTest("one element beyond the end is named", () => {
  assert.throws(
    () => runPlanted("planted_overrun", checked),
    /planted_overrun_f32, block .* writes 4 bytes, .* past the end of an allocation of 1024 bytes/,
  );
}, simulated);

cudaTest("an overrun into the next page is named without looking at accesses", () => {
  assert.throws(
    () => runPlanted("planted_size", {}, { n: 256, threads: 4096 }),
    /planted_size_f32, block .* thread .*: touches .* past the end of an allocation of 1024 bytes/,
  );
}, simulated);

cudaTest("an access that is not aligned is named", () => {
  assert.throws(
    () => runPlanted("planted_alignment", checked),
    /CUDA_ERROR_MISALIGNED_ADDRESS: planted_alignment_f32, block .*not aligned/,
  );
}, simulated);

cudaTest("too few threads leave NaN behind, for fresh memory holds nothing else", () => {
  const values = runPlanted("planted_size", {}, { n: 512, threads: 256 });
  assert.ok(values.slice(0, 256).every((value) => value === 1));
  assert.ok(values.slice(256).every(Number.isNaN));
}, simulated);

cudaTest("errors name the kernels that were launched last", () => {
  assert.throws(
    () => runPlanted("planted_overrun", checked),
    /Launched last, the latest first: planted_overrun\./,
  );
}, simulated);
