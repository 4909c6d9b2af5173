import assert from "node:assert/strict";
import { CaptureError, device, IndexError, Replays, scope, Tensor } from "../../tensor/mod.ts";
import { tensorTest } from "../support.ts";

tensorTest("work that comes again is replayed, with the same result for other numbers", () => {
  using replays = new Replays<readonly [Tensor]>();
  using weight = Tensor.from([[1, 2], [3, 4]]).keep();
  let runs = 0;
  for (const n of [1, 2, 3, 4, 5]) {
    scope(() => {
      const [y] = replays.run("key", [Tensor.from([[n, 1]])], (x) => {
        runs++;
        // A view that is no matrix as it lies, and numbers from the host.
        return [x.linear(weight.t().add(Tensor.from([0, 1])).t()).mul(2)];
      });
      assert.deepEqual([...y.data()], [2 * (n + 2), 2 * (4 * n + 5)]);
    });
  }
  assert.deepEqual([runs, replays.replayed], [2, 4]);
});

tensorTest("another key is other work", () => {
  using replays = new Replays<readonly [Tensor]>();
  for (let round = 0; round < 3; round++) {
    for (const size of [1, 2, 3]) {
      scope(() => {
        const x = Tensor.ones([size]).mul(round);
        const [y] = replays.run(String(size), [x], (x) => [x.add(x).sum()]);
        assert.equal(y.item(), 2 * size * round);
      });
    }
  }
  assert.equal(replays.replayed, 6);
});

tensorTest("a graph keeps what it reads, and gives all memory back", () => {
  const backend = device(), memory = backend.graphMemory(), before = backend.memory.inUse;
  scope(() => {
    const x = Tensor.from([1, 2]), y = Tensor.from([3, 4]);
    let sum: Tensor;
    const graph = backend.capture(memory, () => {
      sum = scope(() => x.mul(y).sum()).keep();
    });
    y[Symbol.dispose]();
    graph.replay();
    assert.equal(sum!.item(), 11);
    x.fill(1);
    graph.replay();
    assert.equal(sum!.item(), 7);
    graph[Symbol.dispose]();
    sum![Symbol.dispose]();
    assert.throws(() => graph.replay(), CaptureError);
  });
  memory[Symbol.dispose]();
  assert.equal(backend.memory.inUse, before);
});

tensorTest(
  "nothing is read while a graph is captured, and its errors come when it is replayed",
  () => {
    const backend = device(), memory = backend.graphMemory();
    scope(() => {
      const ids = Tensor.from([0], [1], { dtype: "i32" }), table = Tensor.ones([2, 3]);
      assert.throws(() => backend.capture(memory, () => table.sum().item()), CaptureError);
      assert.throws(
        () => backend.capture(memory, () => backend.capture(memory, () => 1)),
        CaptureError,
      );
      using graph = backend.capture(memory, () => ids.embedding(table));
      graph.replay();
      assert.deepEqual([...graph.result.data()], [1, 1, 1]);
      ids.fill(5);
      assert.throws(() => graph.replay(), IndexError);
    });
    memory[Symbol.dispose]();
  },
);
