import assert from "node:assert/strict";
import { device, DisposedError, scope, Tensor } from "../../tensor/mod.ts";
import { tensorTest } from "../support.ts";

const disposed = (...tensors: Tensor[]): boolean[] => tensors.map((x) => x.disposed);

tensorTest("a scope frees what was made in it, and returns its result", () => {
  const before = device().memory.blocks;
  let inside: Tensor | undefined;
  const total = scope(() => {
    inside = Tensor.from([1, 2, 3]);
    return inside.mul(2).sum().item();
  });
  assert.equal(total, 12);
  assert.ok(inside!.disposed);
  assert.equal(device().memory.blocks, before);
});

tensorTest("a tensor that a scope returns belongs to the scope around it", () => {
  let handed: Tensor | undefined;
  scope(() => {
    handed = scope(() => scope(() => Tensor.ones([2]).add(1)));
    assert.deepEqual([...handed.data()], [2, 2]);
  });
  assert.ok(handed!.disposed);
});

tensorTest("without a scope around it, the result belongs to the caller", () => {
  using x = scope(() => Tensor.ones([2]).add(1));
  assert.deepEqual([...x.data()], [2, 2]);
});

tensorTest("kept tensors survive every scope until they are disposed", () => {
  let hidden: Tensor | undefined;
  scope(() => scope(() => void (hidden = Tensor.from([7]).keep())));
  assert.ok(!hidden!.disposed && hidden!.owned);
  assert.equal(hidden!.item(), 7);
  hidden![Symbol.dispose]();
});

tensorTest(
  "tensors in lists, objects, maps, sets and instances of classes survive as part of a result",
  () => {
    class Pair {
      constructor(readonly left: Tensor, readonly right: Tensor) {}
    }
    const key = { name: "key" };
    const make = (value: number): Tensor => Tensor.from([value]);
    const result = scope(() => ({
      list: [make(1), [make(2), null, undefined, "text", 3]] as const,
      map: new Map<object, Tensor>([[key, make(4)]]),
      keys: new Map([[make(5), "five"]]),
      set: new Set([make(6)]),
      pair: new Pair(make(7), make(8)),
      owned: true, // a field of that name is nothing special
      numbers: new Float32Array(3),
    }));
    const found = [
      result.list[0],
      result.list[1][0],
      result.map.get(key)!,
      ...result.keys.keys(),
      ...result.set,
      result.pair.left,
      result.pair.right,
    ];
    assert.deepEqual(found.map((x) => x.item()), [1, 2, 4, 5, 6, 7, 8]);
  },
);

tensorTest("a result may hold itself, and be nested as deep as memory allows", () => {
  interface Link {
    next: Link | null;
    readonly value: Tensor | null;
  }
  const chain = scope(() => {
    const last: Link = { next: null, value: Tensor.from([5]) };
    let first = last;
    for (let i = 0; i < 100_000; i++) first = { next: first, value: null };
    last.next = first;
    return { first, last };
  });
  assert.equal(chain.last.value!.item(), 5);
});

tensorTest("a tensor from outside stays alive when an inner scope returns it", () => {
  const x = Tensor.ones([2]);
  assert.equal(scope(() => x), x);
  assert.ok(!x.disposed);
});

tensorTest("an error frees everything and passes through", () => {
  const made: Tensor[] = [];
  const failure = new Error("on purpose");
  assert.throws(() =>
    scope(() => {
      made.push(Tensor.ones([2]));
      scope(() => {
        made.push(Tensor.ones([3]));
        throw failure;
      });
    }), failure);
  assert.deepEqual(disposed(...made), [true, true]);
  const after = scope(() => Tensor.ones([1]));
  assert.ok(!after.disposed, "the scope around is open again");
});

Deno.test("an async body is refused, what it made is freed, and its later failure is not reported twice", async () => {
  const before = device().memory.blocks;
  let reached = false;
  const body = async (): Promise<number> => {
    const x = Tensor.ones([2]);
    await Promise.resolve();
    reached = true;
    return x.sum().item();
  };
  assert.throws(() => scope(body), {
    name: "TypeError",
    message: "scope: body is async; tensors made after its first await would escape. " +
      "Await outside, or use `using`.",
  });
  await Promise.resolve();
  await Promise.resolve();
  assert.ok(reached);
  assert.equal(device().memory.blocks, before);
});

tensorTest("anything with a then() is refused like a promise", () => {
  assert.throws(() => scope(() => ({ then: (go: (x: number) => void) => go(1) })), TypeError);
});

tensorTest("disposing early, twice or out of order is harmless", () => {
  const x = Tensor.ones([4]), y = x.slice(0, 1, 3);
  x[Symbol.dispose]();
  x[Symbol.dispose]();
  assert.deepEqual([...y.data()], [1, 1]);
  y[Symbol.dispose]();
  assert.throws(() => y.data(), DisposedError);
});
