import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { LoadError, NativeError } from "../../ffi/mod.ts";
import { findCudaLibrary, Nccl } from "../../ffi/cuda/mod.ts";
import {
  DeviceError,
  DTypeError,
  joinGroup,
  newGroupId,
  scope,
  ShapeError,
  Tensor,
} from "../../tensor/mod.ts";
import { cudaTest, withEnvironment } from "./support.ts";

const simulated = { simulated: true };
const program = fileURLToPath(new URL("./rank.ts", import.meta.url));

/** Starts a process for each plan; returns what each printed. */
async function ranksOf(
  plans: readonly string[],
  env: Record<string, string> = {},
): Promise<unknown[]> {
  const id = newGroupId();
  const outputs = await Promise.all(plans.map((plan, rank) =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", program, `${rank}`, `${plans.length}`, id, plan],
      env: { DENOTRON_THREADS: "1", ...env },
    }).output()
  ));
  return outputs.map(({ success, stdout, stderr }) => {
    assert.ok(success, new TextDecoder().decode(stderr));
    return JSON.parse(new TextDecoder().decode(stdout));
  });
}

cudaTest("two ranks have the same sums, shares and broadcasts of their arenas", async () => {
  const [first, second] = await ranksOf(["exchange", "exchange"]) as Record<string, number[]>[];
  // Rank r holds i % 100 + r; elements 0, 13333, 26666 and 39999 are looked at.
  const expected = {
    total: [1, 67, 133, 199],
    mean: [0.5, 33.5, 66.5, 99.5],
    half: [1, 34, 67, 100],
    whole: [1, 67, 133, 199],
    model: [1, 34, 67, 100],
  };
  for (const [name, values] of Object.entries(expected)) {
    assert.deepEqual(first[name], values, `${name} of rank 0`);
    assert.deepEqual(second[name], values, `${name} of rank 1`);
  }
  assert.deepEqual(first.share, [1, 67]); // elements 0 and 13333 of the sums
  assert.deepEqual(second.share, [3, 69]); // 20001 and 33334
}, simulated);

cudaTest("a rank learns that another is gone", async () => {
  const [noticed] = await ranksOf(["notice", "leave"], { CUDASIM_NCCL_MS: "300" });
  assert.match(
    noticed as string,
    /rank 0 of 2\): native call failed, remote process exited.*\(6\)\. Another rank is gone/,
  );
}, simulated);

cudaTest("a rank that nobody joins gets an error", () => {
  withEnvironment({ CUDASIM_NCCL_MS: "50" }, () => {
    const join = () => joinGroup({ rank: 0, ranks: 2, id: newGroupId() });
    assert.throws(join, (error) => error instanceof NativeError && error.code === 8);
  });
}, simulated);

cudaTest("a group of one exchanges with itself, and what cannot be exchanged is refused", () => {
  using group = joinGroup({ rank: 0, ranks: 1, id: newGroupId() });
  scope(() => {
    const x = Tensor.from([1, 2, 3], [3], { device: "cuda" });
    group.allReduce(x);
    assert.deepEqual([...x.data()], [1, 2, 3]);
    assert.throws(() => group.allReduce(Tensor.ones([2], { device: "cpu" })), DeviceError);
    assert.throws(
      () => group.allReduce(Tensor.from([1], [1], { dtype: "i32", device: "cuda" })),
      DTypeError,
    );
    const grid = Tensor.ones([2, 3], { device: "cuda" });
    assert.throws(() => group.allReduce(grid.t()), ShapeError);
    assert.throws(() => group.allGather(x, grid), /\(6 vs 3\)/);
    assert.throws(
      () => group.broadcast(x, 1),
      (error) => error instanceof NativeError && error.code === 4,
    );
  });
}, simulated);

cudaTest("a rank outside of its group and an id that is none are refused", () => {
  assert.throws(() => joinGroup({ rank: 2, ranks: 2, id: newGroupId() }), RangeError);
  assert.throws(() => joinGroup({ rank: 0, ranks: 1, id: "no id" }), /\(0 bytes\)/);
}, simulated);

cudaTest(
  "calls that are made together return their value or the error of the call that failed",
  () => {
    using _current = Tensor.ones([1], { device: "cuda" }); // its device is the current one
    const nccl = new Nccl(findCudaLibrary("nccl"));
    using group = nccl.join(nccl.uniqueId(), 0, 1);
    assert.equal(nccl.together(() => 7), 7);
    assert.throws(() =>
      nccl.together(() => {
        throw new RangeError("mine");
      }), /mine/);
    withEnvironment({ CUDASIM_FAIL: "ncclGroupEnd=3" }, () =>
      assert.throws(
        () => nccl.together(() => 7),
        (error) => error instanceof NativeError && error.code === 3,
      ));
    group.checkHealth();
  },
  simulated,
);

cudaTest("a group that is left at once can be left again", () => {
  using _current = Tensor.ones([1], { device: "cuda" });
  const nccl = new Nccl(findCudaLibrary("nccl"));
  const group = nccl.join(nccl.uniqueId(), 0, 1);
  group.abort();
  group.abort();
  group[Symbol.dispose]();
}, simulated);

cudaTest("an NCCL that is missing or too old is told of", () => {
  const open = (variables: Readonly<Record<string, string>>) => () =>
    withEnvironment(variables, () => new Nccl(findCudaLibrary("nccl")));
  assert.throws(open({ DENOTRON_LIBNCCL: "/nowhere/libnccl.so.2" }), LoadError);
  assert.throws(open({ CUDASIM_NCCL: "21000" }), /NCCL: version 2.10.0 is too old/);
}, simulated);
