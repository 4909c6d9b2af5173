/**
 * Recomputation: less memory for more time.
 *
 * @module
 */
import { attach, isRecording, noGrad, withRecording } from "./autograd.ts";
import { GradError } from "./errors.ts";
import { formatShape } from "./layout.ts";
import type { Tensor } from "./tensor.ts";

/**
 * Run `body` on `inputs` and keep nothing of what it computes on the way; `backward()` runs it again. Leaves that it uses,
 * such as parameters, get their gradients as ever. `body` must compute the same both times: random numbers are keyed, so
 * dropout is fine.
 *
 * @param body From the inputs to one tensor; it must use no other tensor that was computed from leaves.
 * @throws {GradError} When `body` returns one of its inputs.
 *
 * @example
 * ```ts
 * import { checkpoint, scope, Tensor } from "@denotron/denotron/tensor";
 * using weight = Tensor.from([1, 2]).requireGrad();
 * scope(() => checkpoint((w) => w.exp().mul(w), weight).sum().backward());
 * console.assert(Math.abs(weight.grad!.data()[0] - 2 * Math.E) < 1e-5);
 * ```
 */
export function checkpoint<I extends readonly Tensor[]>(body: (...inputs: I) => Tensor, ...inputs: I): Tensor {
  if (!isRecording()) return body(...inputs);
  const output = noGrad(() => body(...inputs));
  if (inputs.includes(output)) {
    throw new GradError(`checkpoint: body returns its input ${formatShape(output.shape)} unchanged. Call it without.`);
  }
  const saved = inputs.map((x) => x.alias());
  attach("checkpoint", inputs, [output], saved, ([gradient]) => {
    const copies = inputs.map((x, i) => {
      const copy = saved[i].detach();
      return x.requiresGrad ? copy.requireGrad() : copy;
    }) as unknown as I;
    withRecording(true, () => body(...copies).backward(gradient!));
    // Gradients of leaves are f32; those of computed tensors have their type.
    return copies.map((copy, i) => copy.grad?.to(inputs[i].dtype) ?? null);
  });
  return output;
}
