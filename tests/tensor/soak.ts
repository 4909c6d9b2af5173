/**
 * Trains a small network for many steps, and writes what became of memory and of the loss. Run by a test, in a process of its
 * own: others would share its memory.
 *
 * @module
 */
import assert from "node:assert/strict";
import { adamw, device, noGrad, scope, Tensor } from "../../tensor/mod.ts";
import { randomTensor } from "../support.ts";

const MiB = 2 ** 20;
const steps = device().description.startsWith("reference") ? 400 : 2000;

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** Two layers, W₂·relu²(W₁·x), whose parameters and gradients are slices of arenas. */
class Network implements Disposable {
  readonly master = randomTensor([16 * 8 + 4 * 16], 1).keep();
  readonly gradient = Tensor.zeros(this.master.shape).keep();
  readonly m = Tensor.zeros(this.master.shape).keep();
  readonly v = Tensor.zeros(this.master.shape).keep();
  readonly up = this.#weight(0, 16, 8);
  readonly down = this.#weight(16 * 8, 4, 16);

  #weight(start: number, out: number, width: number): Tensor {
    const part = (arena: Tensor): Tensor =>
      scope(() => arena.slice(0, start, start + out * width).reshape([out, width]).keep());
    const weight = part(this.master).requireGrad();
    weight.grad = part(this.gradient);
    return weight;
  }

  /** x: [batch, 8] → [batch, 4] */
  forward(x: Tensor): Tensor {
    return x.linear(this.up).relu2().linear(this.down);
  }

  [Symbol.dispose](): void {
    const { master, gradient, m, v, up, down } = this;
    for (const tensor of [up, down, master, gradient, m, v]) tensor[Symbol.dispose]();
  }
}

const before = device().memory.blocks;
const losses: number[] = [], resident: number[] = [];
{
  using network = new Network();
  using x = scope(() => randomTensor([8, 8], 2)), y = scope(() => randomTensor([8, 4], 3));
  const { inUse } = device().memory;
  for (let step = 1; step <= steps; step++) {
    losses.push(scope(() => {
      const error = network.forward(x).sub(y), loss = error.mul(error).mean();
      loss.backward();
      adamw(network, { lr: 0.005, step });
      network.gradient.fill(0);
      return noGrad(() => loss.item());
    }));
    assert.equal(device().memory.inUse, inUse, `step ${step}`);
    if (step % 20 === 0) resident.push(Deno.memoryUsage().rss);
  }
}
const quarter = resident.length / 4;
const early = median(resident.slice(quarter, 2 * quarter));
const late = median(resident.slice(3 * quarter));
console.log(JSON.stringify({
  steps,
  first: losses[0],
  last: losses.at(-1),
  grownMiB: (late - early) / MiB,
  blocks: device().memory.blocks - before,
}));
