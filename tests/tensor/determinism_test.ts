import assert from "node:assert/strict";
import { device, type DType, noGrad, scope, type Shape, sizeOf, Tensor } from "../../tensor/mod.ts";
import { randomTensor, tensorTest } from "../support.ts";

const types: readonly DType[] = ["f32", "bf16"];
// References are plain loops over one element after the other; there is less that could go wrong.
const reference = device().description.startsWith("reference");

const text = (x: Tensor): string => x.data().join();

/** Fail unless `compute` gives the same bits with 1, 2 and 3 threads. Returns them. */
function sameForThreads(what: string, compute: () => Tensor): Tensor {
  const before = device().threads;
  try {
    const [one, two, three] = [1, 2, 3].map((threads) => {
      device().threads = threads;
      return compute();
    });
    assert.equal(text(two), text(one), `${what}: 2 threads`);
    assert.equal(text(three), text(one), `${what}: 3 threads`);
    return one;
  } finally {
    device().threads = before;
  }
}

/** Rows `start` to `end` in memory of their own that starts `shift` elements off any alignment. */
function rowsAt(x: Tensor, start: number, end: number, shift: number): Tensor {
  const part = x.slice(0, start, end), size = sizeOf(part.shape);
  const place = Tensor.zeros([size + shift], { dtype: x.dtype }).slice(0, shift);
  return place.reshape(part.shape).assign(part);
}

/**
 * Fail unless each row of `compute(x)` has the same bits alone, in any batch and at any address, with any number of
 * threads. x: [rows, ...]; row i of the result may depend on row i of x only.
 */
function sameForBatches(what: string, x: Tensor, compute: (rows: Tensor) => Tensor): void {
  const all = sameForThreads(what, () => scope(() => compute(x)));
  const rows = x.shape[0], cuts = [[0, 1], [rows - 1, rows], [1, 2], [2, 9], [3, rows], [0, rows]];
  cuts.filter(([start, end]) => start < end && end <= rows).forEach(([start, end], i) =>
    scope(() => {
      const part = compute(rowsAt(x, start, end, i));
      assert.equal(text(part), text(all.slice(0, start, end)), `${what}: rows ${start} to ${end}`);
    })
  );
}

for (const dtype of types) {
  tensorTest(
    `a row of a ${dtype} product has the same bits alone and in batches of 1 to 70`,
    () => {
      const sizes = reference ? [[33, 65]] : [[7, 5], [33, 65], [64, 64], [257, 129], [300, 31]];
      for (const [k, n] of sizes) {
        const a = randomTensor([70, k], 1, dtype), b = randomTensor([k, n], 2, dtype);
        const weight = b.t().contiguous();
        const alone = (compute: (row: Tensor) => Tensor): string[] =>
          Array.from({ length: 70 }, (_, i) => scope(() => text(compute(a.slice(0, i, i + 1)))));
        const forms: Record<string, (rows: Tensor) => Tensor> = {
          matmul: (rows) => rows.matmul(b),
          "matmul, transposed": (rows) => rows.matmul(weight.t()),
          linear: (rows) => rows.linear(weight),
        };
        for (const [name, compute] of Object.entries(forms)) {
          const expected = alone(compute);
          for (let m = 1; m <= 70; m += m < 20 ? 1 : 7) {
            const what = `${name} [${m}, ${k}] @ [${k}, ${n}]`;
            scope(() => {
              const product = m % 5 === 0
                ? sameForThreads(what, () => compute(a.slice(0, 0, m)))
                : compute(a.slice(0, 0, m));
              for (let i = 0; i < m; i++) {
                assert.equal(text(product.select(0, i)), expected[i], `${what}, row ${i}`);
              }
            });
          }
        }
      }
    },
  );

  tensorTest(`weight gradients in ${dtype} do not depend on the number of threads`, () => {
    for (const [m, k, n] of [[70, 33, 65], [5, 300, 7]]) {
      const x = randomTensor([m, k], 1, dtype), seed = randomTensor([m, n], 2, dtype);
      sameForThreads(`${m} ${k} ${n}`, () => {
        const weight = randomTensor([n, k], 3, dtype).requireGrad();
        weight.grad = Tensor.ones([n, k]);
        x.linear(weight).backward(seed);
        return weight.grad.clone();
      });
    }
  });

  tensorTest(`reductions over ${dtype} rows do not depend on threads, batch or address`, () => {
    for (const width of [1, 15, 64, 1000, ...(reference ? [] : [70_001])]) {
      const x = randomTensor([width > 1000 ? 11 : 37, width], 1, dtype);
      const forms: Record<string, (rows: Tensor) => Tensor> = {
        sum: (rows) => rows.sum(1),
        mean: (rows) => rows.mean(1),
        max: (rows) => rows.max(1),
        logSumExp: (rows) => rows.logSumExp(1),
        "sum over columns": (rows) => rows.t().sum(0),
      };
      for (const [name, compute] of Object.entries(forms)) {
        sameForBatches(`${name} of ${width}`, x, compute);
      }
      sameForThreads(`sum over rows of ${width}`, () => x.sum(0));
      sameForThreads(`sum of all ${width}`, () => x.sum());
    }
  });

  tensorTest(`${dtype} rows are normalised alike in any batch`, () => {
    for (const width of [1, 5, 64, 333]) {
      const x = randomTensor([70, width], 1, dtype), weight = randomTensor([width], 2, dtype);
      const forms: Record<string, (rows: Tensor) => Tensor> = {
        rmsNorm: (rows) => rows.rmsNorm(weight),
        softmax: (rows) => rows.softmax(-1),
        logSoftmax: (rows) => rows.logSoftmax(-1),
        swiglu: (rows) => rows.swiglu(rows.mul(2)),
      };
      for (const [name, compute] of Object.entries(forms)) {
        sameForBatches(`${name} of ${width}`, x, compute);
      }
    }
  });

  tensorTest(`a sequence attends alike in any batch in ${dtype}`, () => {
    // x: [batch, time, heads, dim]
    const [q, k, v] = [1, 2, 3].map((seed) => randomTensor([3, 37, 2, 16], seed, dtype));
    const attend = (from: number, to: number): Tensor => {
      const [a, b, c] = [q, k, v].map((x) => x.slice(0, from, to));
      return a.attention(b, c, { causal: true });
    };
    const all = sameForThreads("attention", () => attend(0, 3));
    for (const [from, to] of [[0, 1], [1, 2], [2, 3], [1, 3]]) {
      assert.equal(text(attend(from, to)), text(all.slice(0, from, to)), `${from} to ${to}`);
    }
  });

  tensorTest(`pointwise ${dtype} results do not depend on position, alignment or layout`, () => {
    const ops = ["exp", "log", "tanh", "sigmoid", "silu", "gelu", "sin", "rsqrt", "relu2"] as const;
    const n = reference ? 1000 : 70_000; // more than one thread's share
    const x = randomTensor([n], 1, dtype).mul(4), y = randomTensor([n], 2, dtype);
    const forms: ((a: Tensor, b: Tensor) => Tensor)[] = [
      ...ops.map((op) => (a: Tensor) => a[op]()),
      (a, b) => a.div(b),
      (a, b) => a.pow(b),
      (a, b) => a.mul(b).add(0.1),
    ];
    for (const [i, compute] of forms.entries()) {
      const all = sameForThreads(`form ${i}`, () => compute(x, y)), expected = all.data();
      for (const [start, size] of [[0, 1], [1, 15], [3, 64], [17, 513], [n - 33, 33]]) {
        const what = `form ${i}, ${size} elements from ${start}`, end = start + size;
        const wanted = expected.slice(start, end).join();
        const a = x.slice(0, start, end), b = y.slice(0, start, end);
        assert.equal(text(compute(a, b)), wanted, what);
        assert.equal(text(compute(rowsAt(a, 0, size, 3), rowsAt(b, 0, size, 5))), wanted, what);
        assert.equal(text(compute(everyOther(a), everyOther(b))), wanted, `${what}, strided`);
      }
    }
  });
}

/** The same elements, with others between them. */
function everyOther(x: Tensor): Tensor {
  const pairs = Tensor.zeros([...x.shape, 2] as Shape, { dtype: x.dtype });
  return noGrad(() => pairs.select(-1, 1).assign(x));
}
