/** Tensors and gradients: a line is fitted to points. */
import { scope, sgd, Tensor } from "@denotron/denotron";
import assert from "node:assert/strict";

const points = 64;
const x = Tensor.from(Float32Array.from({ length: points }, (_, i) => i / points), [points, 1]);
const y = x.mul(3).add(-1);

using weights = Tensor.from([0.1, 0]).requireGrad(); // slope and offset

for (let step = 1; step <= 300; step++) {
  // Whatever is made in a scope is freed at its end.
  scope(() => {
    const error = x.mul(weights.slice(0, 0, 1)).add(weights.slice(0, 1, 2)).sub(y);
    const loss = error.mul(error).mean();
    loss.backward();
    sgd({ master: weights.detach(), gradient: weights.grad! }, { lr: 0.5 });
    weights.grad!.fill(0);
    if (step % 100 === 0) console.log(`step ${step}: loss ${loss.item().toExponential(1)}`);
  });
}
const found = weights.detach().data();
console.log(`y = ${found[0].toFixed(2)} x + ${found[1].toFixed(2)}`);
assert.ok(Math.abs(found[0] - 3) < 0.05 && Math.abs(found[1] + 1) < 0.05);
