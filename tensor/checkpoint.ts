/**
 * Recomputation: less memory for more time.
 *
 * @module
 */
import { attach, isRecording, type Node, tapePosition, withRecording } from "./autograd.ts";
import { GradError } from "./errors.ts";
import { formatShape, sameShape } from "./layout.ts";
import { scope } from "./scope.ts";
import type { Tensor } from "./tensor.ts";

/** What is run twice. */
export type CheckpointBody<I extends readonly Tensor[]> = (...inputs: I) => Tensor;

/**
 * Run `body` on `inputs` and keep nothing of what it computes on the way; `backward()` runs it again. Leaves that it uses,
 * such as parameters, get their gradients as ever. `body` must compute the same both times: random numbers are keyed, so
 * dropout is fine. Gradients are the same bits as without, unless an input is used elsewhere, too: the gradient of such a
 * one is added up in another order.
 *
 * Throws GradError when `body` uses a tensor that was computed from leaves and is not among `inputs`, or when
 * `backward()` finds that it computes something else the second time.
 *
 * @example
 * ```ts
 * import { checkpoint, scope, Tensor } from "@denotron/denotron/tensor";
 * using weight = Tensor.from([1, 2]).requireGrad();
 * scope(() => checkpoint((w) => w.exp().mul(w), weight).sum().backward());
 * console.assert(Math.abs(weight.grad!.data()[0] - 2 * Math.E) < 1e-5);
 * ```
 */
export function checkpoint<I extends readonly Tensor[]>(
  body: CheckpointBody<I>,
  ...inputs: I
): Tensor {
  if (!isRecording()) return body(...inputs);
  const needs = inputs.map((x) => x.requiresGrad);
  // Recorded, only to learn whether a gradient is wanted: the record is gone when the scope ends.
  const { output, recorded } = scope(() => {
    const result = record(body, inputs, needs, () => {});
    return { output: result.detach(), recorded: result.requiresGrad };
  });
  if (!recorded) return output;
  const { shape, dtype } = output;
  const saved = inputs.map((x) => x.alias());
  attach("checkpoint", inputs, [output], saved, ([gradient]) => {
    const gradients: (Tensor | null)[] = inputs.map(() => null);
    try {
      const result = withRecording(
        true,
        () => scope(() => record(body, saved, needs, (g, i) => gradients[i] = g)),
      );
      if (!sameShape(result.shape, shape) || result.dtype !== dtype) {
        throw new GradError(
          `checkpoint: body made ${formatShape(shape)} ${dtype}, and ${
            formatShape(result.shape)
          } ${result.dtype} when it ran again. It must compute the same both times.`,
        );
      }
      if (result.requiresGrad) result.backward(gradient!);
      return gradients.map((g) => g?.detach() ?? null);
    } finally {
      for (const g of gradients) g?.[Symbol.dispose]();
    }
  });
  return output;
}

/** Run `body` on stand-ins for `inputs`; `arrive` is handed the gradients of those, to own. */
function record<I extends readonly Tensor[]>(
  body: CheckpointBody<I>,
  inputs: readonly Tensor[],
  needs: readonly boolean[],
  arrive: (gradient: Tensor, input: number) => void,
): Tensor {
  const start = tapePosition();
  const standIns = inputs.map((x, i) => {
    const standIn = x.detach();
    if (needs[i]) {
      attach("checkpoint", [], [standIn], [], ([g]) => {
        arrive(g!.alias(), i);
        return [];
      });
    }
    return standIn;
  });
  const result = body(...standIns as unknown as I);
  if (result.node) checkClosed(result.node, start);
  return result;
}

/** Throw unless everything recorded that `root` goes back to is at `start` of the tape or later. */
function checkClosed(root: Node, start: number): void {
  const seen = new Set([root]);
  for (const node of seen) { // visits what is added on the way, too
    node.edges.forEach((edge, i) => {
      if (!edge?.node) return;
      if (edge.node.id < start) {
        throw new GradError(
          `checkpoint: body uses ${
            formatShape(node.inputs[i].shape)
          }, computed by ${edge.node.name}, which it was not given. Pass it as an input.`,
        );
      }
      seen.add(edge.node);
    });
  }
}
