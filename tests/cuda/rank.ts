/**
 * One rank of a group: exchanges tensors and prints what it got as JSON; `nccl_test.ts` starts as many as there are.
 *
 * @module
 */
import { joinGroup, scope, Tensor } from "../../tensor/mod.ts";

const rank = Number(Deno.args[0]), ranks = Number(Deno.args[1]), [, , id, plan] = Deno.args;
const on = { device: "cuda" } as const;

/** As large as several pieces that ranks show each other, and not a multiple of them. */
const size = 40_002;

/** What a gradient arena of this rank holds. */
function arena(): Tensor {
  return Tensor.from(Float32Array.from({ length: size }, (_, i) => i % 100 + rank), [size], on);
}

function exchange(): Record<string, number[]> {
  using group = joinGroup({ rank, ranks, id });
  return scope(() => {
    const total = arena(), mean = arena(), half = arena().to("bf16");
    group.allReduce(total);
    group.allReduce(mean, "average");
    group.allReduce(half, "max");
    const share = Tensor.empty([size / ranks], on), whole = Tensor.empty([size], on);
    group.reduceScatter(arena(), share);
    group.allGather(share, whole);
    const model = arena();
    group.broadcast(model, ranks - 1);
    group.check();
    const ends = (x: Tensor): number[] =>
      [...x.to("f32").data()].filter((_, i) => i % 13_333 === 0);
    const results = { total, mean, half, share, whole, model };
    return Object.fromEntries(Object.entries(results).map(([name, x]) => [name, ends(x)]));
  });
}

/** Joins, and is gone before anything is exchanged. */
function leave(): void {
  joinGroup({ rank, ranks, id });
}

/** Learns that the other rank is gone. */
function notice(): string {
  const group = joinGroup({ rank, ranks, id });
  try {
    scope(() => group.allReduce(arena()));
    group.check();
    return "nothing";
  } catch (error) {
    return (error as Error).message;
  }
}

const outcome = plan === "exchange" ? exchange() : plan === "leave" ? leave() : notice();
console.log(JSON.stringify(outcome ?? null));
