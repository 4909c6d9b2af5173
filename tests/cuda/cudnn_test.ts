import assert from "node:assert/strict";
import { LoadError, NativeError } from "../../ffi/mod.ts";
import { Cudnn, CudnnGraph, findCudaLibrary } from "../../ffi/cuda/mod.ts";
import { CudaBackend } from "../../tensor/backend/cuda.ts";
import { checkAttention } from "../../tensor/backend/cudnn_check.ts";
import type { DType } from "../../tensor/dtype.ts";
import { DeviceError, type Shape, sizeOf } from "../../tensor/mod.ts";
import type { AnyOp, View } from "../../tensor/op.ts";
import { attention } from "../../tensor/ops/attention.ts";
import { assertClose, uniforms } from "../support.ts";
import { cudaTest, withEnvironment } from "./support.ts";
import { makeView, numbersOf } from "./views.ts";

const simulated = { simulated: true };
/** Nothing decides for one of them. */
const unset = { DENOTRON_CUDNN: "" };

interface Case {
  readonly batch: number;
  readonly time: number;
  readonly keys?: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly causal: boolean;
}

/** out, lse, dq, dk and dv of attention on random numbers, the last of `times` times. */
function attend(on: CudaBackend, given: Case, times = 1): number[][] {
  const { batch, time, keys = time, heads, kvHeads, headDim, causal } = given;
  const next = uniforms(7), made: View[] = [];
  const make = (shape: Shape, dtype: DType, values: ArrayLike<number>): View => {
    made.push(makeView(on, shape, dtype, values));
    return made.at(-1)!;
  };
  const random = (shape: Shape): View =>
    make(shape, "bf16", Float32Array.from({ length: sizeOf(shape) }, () => 2 * next() - 1));
  const empty = (shape: Shape, dtype: DType): View =>
    make(shape, dtype, new Float32Array(sizeOf(shape)));
  const steps = (count: number, step: number): View =>
    make([count], "i32", Int32Array.from({ length: count }, (_, i) => i * step));
  const query = [batch, time, heads, headDim], key = [batch, keys, kvHeads, headDim];
  const [q, k, v, dout] = [query, key, key, query].map(random);
  const lengths = make([batch], "i32", new Int32Array(batch).fill(keys));
  const sequences = [steps(batch + 1, time), steps(batch, keys), lengths];
  const outputs = [empty(query, "bf16"), empty(query.slice(0, -1), "f32")];
  const gradients = [query, key, key].map((shape) => empty(shape, "bf16"));
  const params = { causal, window: 0, scale: headDim ** -0.5, whole: true };
  const [backward]: readonly AnyOp[] = attention.companions!;
  for (let i = 0; i < times; i++) {
    on.run(attention, [q, k, v, ...sequences], outputs, params);
    on.run(backward, [q, k, v, ...outputs, dout, ...sequences], gradients, params);
  }
  const results = [...outputs, ...gradients].map((x) => numbersOf(on, x));
  for (const { storage } of made) storage.release();
  return results;
}

function backendWith(variables: Readonly<Record<string, string>>): CudaBackend {
  return withEnvironment(variables, () => new CudaBackend());
}

const cases: readonly Case[] = [
  { batch: 2, time: 33, heads: 4, kvHeads: 2, headDim: 64, causal: true },
  { batch: 1, time: 70, heads: 3, kvHeads: 3, headDim: 40, causal: true },
  { batch: 2, time: 9, keys: 21, heads: 2, kvHeads: 1, headDim: 128, causal: false },
];

// 9.19 is given attention as many operations, 9.21 and later as one.
for (const version of ["91900", "92800"]) {
  cudaTest(`attention by cuDNN ${version} is that of our kernels, and its gradients are`, () => {
    withEnvironment({ CUDASIM_CUDNN: version, DENOTRON_CUDNN: "1" }, () => {
      const theirs = new CudaBackend();
      const ours = withEnvironment({ DENOTRON_CUDNN: "0" }, () => new CudaBackend());
      assert.equal(theirs.description.attention.cudnn?.version, Number(version));
      for (const given of cases) {
        const expected = attend(ours, given), actual = attend(theirs, given);
        ["out", "lse", "dq", "dk", "dv"].forEach((what, i) =>
          assertClose(
            actual[i],
            expected[i],
            { absolute: 1e-2, relative: 3e-2 },
            `${JSON.stringify(given)}: ${what}`,
          )
        );
      }
      assert.equal(theirs.memory.inUse, 0);
    });
  }, simulated);
}

cudaTest("cuDNN agrees with our kernels on the small case, or says why it is not used", () => {
  const { cudnn, why } = backendWith(unset).description.attention;
  assert.ok(cudnn !== null || why !== "");
});

cudaTest("a form is measured once it came a few times, and its results stay right", () => {
  const measured = backendWith(unset), ours = backendWith({ DENOTRON_CUDNN: "0" });
  const [given] = cases, expected = attend(ours, given);
  attend(measured, given, 6).forEach((actual, i) =>
    assertClose(actual, expected[i], { absolute: 1e-2, relative: 3e-2 }, `result ${i}`)
  );
  assert.equal(measured.memory.inUse, 0);
});

cudaTest("the small case notices attention that is wrong", () => {
  const backend = new CudaBackend();
  assert.match(checkAttention(backend, () => {}), /^its outputs differ from ours by [\d.]+ \(of /);
  assert.equal(backend.memory.inUse, 0);
});

cudaTest("DENOTRON_CUDNN=1 without cuDNN is an error, and without the variable a reason", () => {
  const nowhere = { DENOTRON_LIBCUDNN: "/nowhere/libcudnn.so.9" };
  withEnvironment({ ...nowhere, DENOTRON_CUDNN: "1" }, () => {
    const backend = new CudaBackend();
    assert.throws(() => attend(backend, cases[0]), LoadError);
  });
  withEnvironment({ ...nowhere, ...unset }, () => {
    const { cudnn, why } = new CudaBackend().description.attention;
    assert.equal(cudnn, null);
    assert.match(why, /^cuDNN: library not found.*pip install nvidia-cudnn-cu13/);
  });
}, simulated);

cudaTest("another value of DENOTRON_CUDNN is refused", () => {
  assert.throws(() => backendWith({ DENOTRON_CUDNN: "yes" }), /RangeError: DENOTRON_CUDNN: "yes"/);
});

cudaTest("a cuDNN that is too old, or of mixed parts, or without an engine, is told of", () => {
  const why = (variables: Readonly<Record<string, string>>): string =>
    withEnvironment({ ...variables, ...unset }, () => new CudaBackend().description.attention.why);
  assert.match(why({ CUDASIM_CUDNN: "90000" }), /version 9.0.0 is not used.*9.1 or later/);
  assert.match(why({ CUDASIM_CUDNN: "91001" }), /version 9.10.1 is not used/);
  assert.match(
    why({ CUDASIM_FAIL: "cudnnCreate=1002" }),
    /SUBLIBRARY_VERSION_MISMATCH \(1002\)\. Its parts are of different versions/,
  );
  assert.match(why({ CUDASIM_FAIL: "cudnnPlan=3000" }), /CUDNN_STATUS_NOT_SUPPORTED/);
}, simulated);

cudaTest("attention that cannot run where it is asked for is an error", () => {
  withEnvironment({ CUDASIM_FAIL: "cudnnBackendExecute=5000", DENOTRON_CUDNN: "1" }, () => {
    const backend = new CudaBackend();
    assert.throws(
      () => attend(backend, cases[0]),
      (error) =>
        error instanceof DeviceError || (error instanceof NativeError && error.code === 5000),
    );
  });
}, simulated);

cudaTest("what does not fit is refused when it is written down, with cuDNN's reason", () => {
  const graph = new CudnnGraph(new Cudnn(findCudaLibrary("cudnn"), null));
  const a = graph.virtual([1, 1, 2, 3]), b = graph.virtual([1, 1, 4, 5]);
  assert.throws(() => graph.matmul(a, b, graph.virtual([1, 1, 2, 5])), NativeError);
});
