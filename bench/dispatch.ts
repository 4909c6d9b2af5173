/**
 * What calling an op costs beside the work itself.
 *
 * @module
 */
import { scope, Tensor } from "../tensor/mod.ts";
import type { Ceilings } from "../tensor/ceilings.ts";
import type { PeerFigures } from "./peers/peer.ts";
import { beside, type Row } from "./report.ts";
import { best } from "./timing.ts";

const callsPerScope = 100, scopes = 500;

/** Nanoseconds of `call`, in scopes of a hundred. */
function nanoseconds(call: () => unknown): number {
  const seconds = best(
    () => {
      for (let i = 0; i < scopes; i++) {
        scope(() => {
          for (let k = 0; k < callsPerScope; k++) call();
        });
      }
    },
    15,
    4,
  );
  return seconds / (scopes * callsPerScope) * 1e9;
}

/** Ops on single elements, with and without the tape. */
export function dispatch(_: readonly Ceilings[], peer: PeerFigures): Row[] {
  using a = Tensor.from([1]).keep();
  using b = Tensor.from([2]).keep();
  using x = Tensor.zeros([1, 1]).keep();
  using weight = Tensor.from([1]).requireGrad().keep();
  const row = (name: string, call: () => unknown): Row =>
    beside({ name, value: nanoseconds(call), unit: "ns" }, "torch", peer[name], true);
  return [
    row("add1", () => a.add(b)),
    row("add1 grad", () => weight.add(b)),
    row("add1 number grad", () => weight.add(2)),
    row("mul1 grad", () => weight.mul(b)),
    row("silu1 grad", () => weight.silu()),
    row("view1 grad", () => weight.reshape([1, 1])),
    row("linear1", () => x.linear(x)),
    row("add1 and backward", () => weight.add(b).backward()),
  ];
}
