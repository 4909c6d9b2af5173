import assert from "node:assert/strict";
import { NativeError } from "../../ffi/mod.ts";
import { CudaDriver } from "../../ffi/cuda/mod.ts";
import {
  CaptureError,
  type CudaGraph,
  device,
  IndexError,
  Replays,
  scope,
  Tensor,
} from "../../tensor/mod.ts";
import { cudaTest, withEnvironment } from "./support.ts";

const simulated = { simulated: true }, on = { device: "cuda" } as const;

/** A test that leaves no memory taken. */
function graphTest(name: string, body: () => void, options = {}): void {
  cudaTest(name, () => {
    const before = device("cuda").memory;
    scope(body);
    const after = device("cuda").memory;
    assert.deepEqual([after.inUse, after.blocks], [before.inUse, before.blocks], "memory is left");
  }, options);
}

/** A captured graph, with its memory and result. */
class Captured implements Disposable {
  readonly #memory = device("cuda").graphMemory();
  readonly #graph: CudaGraph<void>;
  #result: Tensor | null = null;

  /** Runs a body once, and captures it. */
  constructor(body: () => Tensor) {
    scope(() => void body());
    try {
      this.#graph = device("cuda").capture(this.#memory, () => {
        scope(() => this.#result = body().keep());
      });
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  get size(): number {
    return this.#graph.size;
  }

  /** What the graph computes now. */
  replay(): number[] {
    this.#graph.replay();
    return [...this.#result!.data()];
  }

  [Symbol.dispose](): void {
    this.#graph[Symbol.dispose]();
    this.#release();
  }

  #release(): void {
    this.#result?.[Symbol.dispose]();
    this.#memory[Symbol.dispose]();
  }
}

graphTest("a graph computes with what its inputs hold when it is replayed", () => {
  const x = Tensor.from([1, 2, 3], undefined, on);
  using graph = new Captured(() => x.mul(2).add(1));
  assert.equal(graph.size, 2);
  for (const value of [5, -1, 0]) {
    x.fill(value);
    assert.deepEqual(graph.replay(), [2 * value + 1, 2 * value + 1, 2 * value + 1]);
  }
});

graphTest("products are captured, and numbers from the host are the same in each replay", () => {
  const x = Tensor.from([[1, 2], [3, 4]], undefined, on);
  using graph = new Captured(() => {
    const y = Tensor.from([[0, 1], [1, 0]], undefined, on);
    const product = x.matmul(y);
    y.fill(7); // the next replay begins with the same numbers all the same
    return product;
  });
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(graph.replay(), [2, 1, 4, 3]);
  }
});

graphTest(
  "memory of a graph is not used by others, also that of tensors that were disposed",
  () => {
    const x = Tensor.from([1, 2], undefined, on);
    using graph = new Captured(() => x.mul(3).add(x));
    x[Symbol.dispose]();
    const others = Array.from({ length: 40 }, () => Tensor.full([2], 9, on));
    assert.deepEqual(graph.replay(), [4, 8]);
    assert.ok(others.every((other) => other.sum().item() === 18));
  },
);

graphTest("a body that reads a value cannot be captured, and the device goes on", () => {
  const x = Tensor.from([1, 2], undefined, on);
  assert.throws(
    () => new Captured(() => x.mul(x.sum().item())),
    (error) =>
      error instanceof CaptureError &&
      /values are read while a graph is captured/.test(error.message),
  );
  assert.equal(x.sum().item(), 3);
  using memory = device("cuda").graphMemory();
  let runs = 0;
  const nested = () => {
    if (++runs > 1) device("cuda").capture(memory, () => {});
    return x.mul(2);
  };
  assert.throws(() => new Captured(nested), /another one is captured/);
  assert.equal(x.sum().item(), 3);
});

graphTest("a bad index in a graph names its op, after any number of other launches", () => {
  const table = Tensor.ones([5, 3], on),
    ids = Tensor.from([0, 4], undefined, { ...on, dtype: "i32" });
  using graph = new Captured(() => ids.embedding(table));
  scope(() => {
    for (let i = 0; i < 300; i++) table.mul(1);
  });
  ids.fill(7);
  assert.throws(
    () => graph.replay(),
    (error) =>
      error instanceof IndexError && /^embedding: index 7 at place [01] /.test(error.message),
  );
});

graphTest("work is captured when it comes again, and replayed from then on", () => {
  using replays = new Replays<readonly [Tensor]>({ most: 2 });
  const weight = Tensor.from([2, 3], undefined, on);
  const seen: number[] = [];
  for (const n of [1, 2, 3, 4]) {
    scope(() => {
      const x = Tensor.from([n, 10 * n], undefined, on);
      const [y] = replays.run("times", [x], (x) => {
        seen.push(n);
        return [x.mul(weight)];
      });
      assert.deepEqual([...y.data()], [2 * n, 30 * n]);
    });
  }
  assert.deepEqual([seen, replays.replayed], [[1, 2], 3]); // it ran, was captured, and no more
  assert.ok(replays.reserved > 0);
  // Two other keys take the place of the first one.
  const double = (key: string) =>
    scope(() => replays.run(key, [weight], (x) => [x.add(x)])[0].sum().item());
  assert.deepEqual([double("a"), double("a"), double("b"), double("b")], [10, 10, 10, 10]);
  scope(() => void replays.run("times", [weight], (x) => (seen.push(0), [x.mul(weight)])));
  assert.deepEqual([seen.at(-1), replays.replayed], [0, 5]);
});

graphTest("work that cannot be captured goes on without", () => {
  using replays = new Replays<readonly [Tensor]>();
  const x = Tensor.from([1, 2], undefined, on), said: string[] = [], { error } = console;
  console.error = (text) => said.push(text);
  try {
    for (let i = 0; i < 3; i++) {
      const [y] = replays.run("sum", [x], (x) => [x.mul(x.sum().item())]);
      assert.deepEqual([...y.data()], [3, 6]);
    }
  } finally {
    console.error = error;
  }
  assert.equal(replays.replayed, 0);
  assert.match(
    said.join("\n"),
    /^denotron: goes on without graphs. graph: values are read [^\n]*$/,
  );
});

graphTest("what the driver refuses is a CaptureError, and the device goes on", () => {
  const x = Tensor.from([1, 2], undefined, on);
  for (const failing of ["cuStreamBeginCapture_v2=801", "cuGraphInstantiateWithFlags=2"]) {
    x.add(0); // loads what the body needs
    Deno.env.set("CUDASIM_FAIL", failing);
    try {
      assert.throws(
        () => new Captured(() => x.add(1)),
        (error) => error instanceof CaptureError && error.cause instanceof NativeError,
      );
    } finally {
      Deno.env.delete("CUDASIM_FAIL");
    }
    assert.equal(x.add(1).sum().item(), 5);
  }
}, simulated);

cudaTest(
  "a stream that is captured cannot be waited for, and what spoils a capture shows in the end",
  () => {
    withEnvironment({}, () => {
      const driver = new CudaDriver(), stream = driver.createStream();
      driver.useDevice(0);
      driver.beginCapture(stream);
      assert.equal(driver.synchronize(stream), 900);
      assert.throws(
        () => driver.endCapture(stream),
        (error) => error instanceof NativeError && error.code === 901,
      );
      assert.equal(driver.synchronize(stream), 0);
      driver.beginCapture(stream);
      const event = driver.createEvent();
      driver.recordEvent(event, stream);
      assert.throws(() => driver.awaitEvent(event), /CUDA_ERROR_CAPTURED_EVENT/);
      driver.destroyGraph(driver.endCapture(stream));
      assert.throws(() => driver.endCapture(stream), /CUDA_ERROR_ILLEGAL_STATE/);
    });
  },
  simulated,
);

cudaTest("a graph reads memory of the host when it is replayed", () => {
  withEnvironment({ CUDASIM_DELAY: "1" }, () => {
    const driver = new CudaDriver(), stream = driver.createStream();
    driver.useDevice(0);
    const address = driver.allocate(8), host = driver.allocateHost(16);
    const numbers = new Float64Array(host.buffer);
    driver.beginCapture(stream);
    driver.copyToDevice(address, host.address, 8, stream);
    driver.copyToHost(host.address + 8, address, 8, stream);
    const graph = driver.endCapture(stream), executable = driver.instantiateGraph(graph);
    assert.equal(driver.graphSize(graph), 2);
    driver.destroyGraph(graph);
    for (const value of [3, 4]) {
      numbers[0] = value;
      driver.check(driver.launchGraph(executable, stream), "cuGraphLaunch");
      assert.notEqual(numbers[1], value); // not yet
      driver.check(driver.synchronize(stream), "cuStreamSynchronize");
      assert.equal(numbers[1], value);
    }
    driver.destroyExecutable(executable);
    driver.freeHost(host.address);
    driver.free(address);
  });
}, simulated);
