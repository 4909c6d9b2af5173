/**
 * The tape: what was computed from what, and how to go back. A node is one recorded call. It owns what its gradient rule
 * needs, so that disposing a handle never cuts the tape, and it lets go of it as soon as no tensor or later node can ask.
 *
 * @module
 */
import { GradError } from "./errors.ts";
import { formatShape, sameShape } from "./layout.ts";
import type { Op, TensorSpec, VjpContext } from "./op.ts";
import { scope } from "./scope.ts";
import type { Tensor } from "./tensor.ts";

/** From the gradients of a node's outputs to those of its inputs. */
export type Rule = (gradients: readonly (Tensor | null)[]) => readonly (Tensor | null)[];

/** Where an input came from: an output of an earlier node, or a leaf. */
interface Edge {
  readonly node: Node | null;
  readonly index: number;
  readonly leaf: Tensor | null;
}

/** One recorded call. */
export class Node {
  /** Gradients of the outputs, as far as they have arrived. */
  readonly gradients: (Tensor | null)[];
  /** Live handles of its outputs, plus later nodes, plus a running backward pass. */
  uses = 0;
  /** Its gradient was taken, or can no longer be asked for. */
  freed = false;

  constructor(
    /** Later nodes have larger ids. */
    readonly id: number,
    readonly name: string,
    readonly edges: readonly (Edge | null)[],
    readonly inputs: readonly TensorSpec[],
    readonly outputs: readonly TensorSpec[],
    readonly saved: readonly Tensor[],
    readonly rule: Rule,
  ) {
    this.gradients = new Array<Tensor | null>(outputs.length).fill(null);
  }
}

/** Calls ops on behalf of gradient rules. */
export interface Caller {
  readonly apply: VjpContext<unknown, readonly Tensor[]>["apply"];
  readonly applyInto: VjpContext<unknown, readonly Tensor[]>["applyInto"];
}

let recording = true;
let nextId = 0;

/** Whether calls are being recorded. */
export function isRecording(): boolean {
  return recording;
}

/**
 * Run `body` without recording: nothing it computes has a gradient, and nothing is kept for one.
 *
 * @example
 * ```ts
 * import { noGrad, Tensor } from "@denotron/denotron/tensor";
 * using weight = Tensor.from([2]).requireGrad();
 * using y = noGrad(() => weight.mul(3));
 * console.assert(!y.requiresGrad);
 * ```
 */
export function noGrad<T>(body: () => T): T {
  return withRecording(false, body);
}

/** Run `body` with recording on or off. */
export function withRecording<T>(on: boolean, body: () => T): T {
  const before = recording;
  recording = on;
  try {
    return body();
  } finally {
    recording = before;
  }
}

/** Attach a node to `outputs` that goes back to `inputs` by `rule`, which may use the `saved` tensors. */
export function attach(
  name: string,
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  saved: readonly Tensor[],
  rule: Rule,
): void {
  const edges = inputs.map((x): Edge | null => {
    if (!x.requiresGrad) return null;
    if (x.node === null) return { node: null, index: 0, leaf: x };
    x.node.uses++;
    return { node: x.node, index: x.outputIndex, leaf: null };
  });
  const node = new Node(
    nextId++,
    name,
    edges,
    inputs.map(specOf),
    outputs.map(specOf),
    saved,
    rule,
  );
  outputs.forEach((output, i) => output.attach(node, i));
}

/** Record a call of `op`. */
export function record<P, I extends readonly Tensor[]>(
  op: Op<P, I>,
  inputs: I,
  outputs: readonly Tensor[],
  params: P,
  caller: Caller,
): void {
  const { vjp, saves } = op;
  if (!vjp) {
    throw new GradError(
      `${op.name} has no gradient. Wrap the call in noGrad() or detach() its inputs.`,
    );
  }
  const constant = op.constantInputs?.find((i) => inputs[i]?.requiresGrad);
  if (constant !== undefined) {
    throw new GradError(`${op.name}: no gradient flows to input ${constant}. detach() it.`);
  }
  const savedInputs = new Array<Tensor>(inputs.length),
    savedOutputs = new Array<Tensor>(outputs.length);
  const saved: Tensor[] = [];
  for (const i of saves?.inputs ?? []) {
    if (i < inputs.length) saved.push(savedInputs[i] = inputs[i].alias());
  }
  for (const i of saves?.outputs ?? []) saved.push(savedOutputs[i] = outputs[i].alias());
  const needs = inputs.map((x) => x.requiresGrad);
  const differentiable = op.constantOutputs
    ? outputs.filter((_, i) => !op.constantOutputs!.includes(i))
    : outputs;
  const specs = inputs.map(specOf);
  const leaves = inputs.map((x) => x.requiresGrad && x.node === null ? x : null);
  attach(
    op.name,
    inputs,
    differentiable,
    saved,
    (gradients) =>
      vjp(gradients as readonly Tensor[], {
        inputs: savedInputs as unknown as I,
        outputs: savedOutputs,
        specs: specs as never,
        params,
        needs: needs as never,
        into: (i) => leaves[i]?.grad ?? null,
        ...caller,
      }) as readonly (Tensor | null)[],
  );
}

function specOf({ shape, dtype }: TensorSpec): TensorSpec {
  return { shape, dtype };
}

/** A handle of one of the node's outputs was disposed, or a later node let go of it. */
export function release(node: Node): void {
  const stack = [node];
  for (let next = stack.pop(); next; next = stack.pop()) {
    if (--next.uses === 0 && !next.freed) free(next, stack);
  }
}

/** Let go of what `node` saved; the nodes before it that it used go to `stack`. */
function free(node: Node, stack: Node[]): void {
  node.freed = true;
  for (const tensor of node.saved) tensor[Symbol.dispose]();
  for (const edge of node.edges) if (edge?.node) stack.push(edge.node);
}

/** Add to the gradient of every leaf that `root` was computed from; `seed` is the gradient of `root`. Frees the tape as it goes. */
export function backward(root: Node, index: number, seed: Tensor, caller: Caller): void {
  const order = reachable(root);
  for (const node of order) node.uses++;
  root.gradients[index] = seed.alias();
  let done = 0;
  try {
    withRecording(false, () => {
      for (const node of order) {
        stepBack(node, caller);
        finish(node);
        done++;
      }
    });
  } finally {
    for (const node of order.slice(done)) finish(node);
  }
}

/** Every node from which gradients flow back, later ones first. */
function reachable(root: Node): Node[] {
  const seen = new Set([root]), stack = [root];
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (node.freed) {
      throw new GradError(
        `backward: the graph through ${node.name} was already used by another backward() and freed. ` +
          `Add the losses and call backward() once.`,
      );
    }
    for (const edge of node.edges) {
      if (!edge?.node || seen.has(edge.node)) continue;
      seen.add(edge.node);
      stack.push(edge.node);
    }
  }
  return [...seen].sort((a, b) => b.id - a.id);
}

/** Send the gradients of `node` on to its inputs. */
function stepBack(node: Node, caller: Caller): void {
  if (node.gradients.every((g) => g === null)) return;
  scope(() => {
    const gradients = node.rule(node.gradients);
    node.edges.forEach((edge, i) => {
      const gradient = gradients[i];
      if (edge && gradient) send(edge, gradient, node.inputs[i], node.name, caller);
    });
  });
}

function send(edge: Edge, gradient: Tensor, to: TensorSpec, from: string, caller: Caller): void {
  // A broadcast input gets the sum over the places it was repeated to.
  const fitting = sameShape(gradient.shape, to.shape) ? gradient : gradient.sumTo(to.shape);
  if (edge.leaf) {
    if (fitting !== edge.leaf.grad) edge.leaf.addGrad(fitting);
    return;
  }
  const node = edge.node!, before = node.gradients[edge.index];
  if (before === null) {
    node.gradients[edge.index] = fitting.alias();
    return;
  }
  if (before.dtype !== fitting.dtype) {
    throw new GradError(
      `${from}: its gradient is ${fitting.dtype} where another is ${before.dtype}, for ${
        formatShape(to.shape)
      }. ` +
        `A gradient rule must return the input's element type.`,
    );
  }
  node.gradients[edge.index] = before.add(fitting).alias();
  before[Symbol.dispose]();
}

/** Drop the pass's hold on `node`, its gradients, and what it saved. */
function finish(node: Node): void {
  for (const gradient of node.gradients) gradient?.[Symbol.dispose]();
  node.gradients.fill(null);
  const stack: Node[] = [];
  if (!node.freed) free(node, stack);
  node.uses--;
  for (const earlier of stack) release(earlier);
}
