/**
 * The tape: what was computed from what, and how to go back. A node is one recorded call. It owns what its gradient rule
 * needs, so that disposing a handle never cuts the tape, and it lets go of it as soon as no tensor or later node can ask.
 *
 * @module
 */
import { isFloating } from "./dtype.ts";
import { GradError } from "./errors.ts";
import { formatShape, sameShape } from "./layout.ts";
import type { Op, TensorSpec, VjpContext } from "./op.ts";
import { scope } from "./scope.ts";
import type { Tensor } from "./tensor.ts";

/** From the gradients of a node's outputs to those of its inputs. */
export type Rule = (
  gradients: readonly (Tensor | null)[],
  node: Node,
) => readonly (Tensor | null)[];

type Saves = NonNullable<Op["saves"]>;
const nothing: readonly (Tensor | null)[] = [];

/** Where an input that requires a gradient came from: an output of an earlier node, or a leaf. */
export interface Edge {
  /** The recorded call that made the input; null for a leaf. */
  readonly node: Node | null;
  /** Which of its outputs. */
  readonly index: number;
  /** The leaf itself; null for what was computed. */
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
  /** It is the loss itself: the gradient of its output is 1, which nobody has to read. */
  isLoss = false;

  /** A call as `attach` records it. */
  constructor(
    /** Later nodes have larger ids. */
    readonly id: number,
    readonly name: string,
    /** One for each input; null where no gradient is wanted. */
    readonly edges: readonly (Edge | null)[],
    /** Shape and element type of each input. */
    readonly inputs: readonly TensorSpec[],
    outputCount: number,
    readonly saved: readonly (Tensor | null)[],
    readonly rule: Rule,
  ) {
    this.gradients = new Array<Tensor | null>(outputCount).fill(null);
  }
}

/** Calls ops on behalf of gradient rules. */
export interface Caller {
  readonly apply: VjpContext<unknown, readonly Tensor[]>["apply"];
  readonly applyInto: VjpContext<unknown, readonly Tensor[]>["applyInto"];
}

let recording = true;
let nextId = 0;

/** Id of the next node: earlier ones have smaller ids. */
export function tapePosition(): number {
  return nextId;
}

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

/**
 * Attach a node to `outputs` that goes back to `inputs` by `rule`, which may use the `saved` tensors. The node owns those:
 * pass aliases.
 */
export function attach(
  name: string,
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  saved: readonly (Tensor | null)[],
  rule: Rule,
): void {
  const edges = new Array<Edge | null>(inputs.length);
  const specs = new Array<TensorSpec>(inputs.length);
  for (let i = 0; i < inputs.length; i++) {
    const x = inputs[i];
    edges[i] = edgeTo(x);
    specs[i] = { shape: x.shape, dtype: x.dtype };
  }
  const node = new Node(nextId++, name, edges, specs, outputs.length, saved, rule);
  for (let i = 0; i < outputs.length; i++) outputs[i].attach(node, i);
}

function edgeTo(x: Tensor): Edge | null {
  const { node } = x;
  if (node === null) return x.requiresGrad ? { node, index: 0, leaf: x } : null;
  node.uses++;
  return { node, index: x.outputIndex, leaf: null };
}

/** Record a call of `op`. */
export function record<P, I extends readonly Tensor[]>(
  op: Op<P, I>,
  inputs: I,
  outputs: readonly Tensor[],
  params: P,
  caller: Caller,
): void {
  const differentiable = differentiableOutputs(op, outputs);
  if (differentiable.length === 0) return;
  if (!op.vjp) {
    throw new GradError(
      `${op.name} has no gradient. Wrap the call in noGrad() or detach() its inputs.`,
    );
  }
  const constant = op.constantInputs?.find((i) => inputs[i]?.requiresGrad);
  if (constant !== undefined) {
    throw new GradError(`${op.name}: no gradient flows to input ${constant}. detach() it.`);
  }
  attach(
    op.name,
    inputs,
    differentiable,
    op.saves ? save(op.saves, inputs, outputs) : nothing,
    (gradients, node) =>
      op.vjp!(gradients as readonly Tensor[], contextOf(op, node, params, caller)),
  );
}

/** The outputs that gradients flow through: all but indices, flags and the like. */
function differentiableOutputs(
  { constantOutputs }: { readonly constantOutputs?: readonly number[] },
  outputs: readonly Tensor[],
): readonly Tensor[] {
  if (outputs.length === 1 && !constantOutputs && isFloating(outputs[0].dtype)) return outputs;
  return outputs.filter((y, i) => isFloating(y.dtype) && !constantOutputs?.includes(i));
}

/** Aliases of what a gradient needs, inputs first; null for what it turns out not to need. */
function save(
  { inputs: whichInputs = [], outputs: whichOutputs = [], bilinear }: Saves,
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
): (Tensor | null)[] {
  const saved: (Tensor | null)[] = [];
  for (let k = 0; k < whichInputs.length; k++) {
    const i = whichInputs[k], wanted = i < inputs.length;
    const kept = bilinear ? inputs[1 - i]?.requiresGrad : true;
    saved.push(wanted && kept ? inputs[i].alias() : null);
  }
  for (let k = 0; k < whichOutputs.length; k++) saved.push(outputs[whichOutputs[k]].alias());
  return saved;
}

/** What the gradient rule of `op` sees of a recorded call. */
function contextOf<P, I extends readonly Tensor[]>(
  op: Op<P, I>,
  { edges, inputs: specs, saved }: Node,
  params: P,
  { apply, applyInto }: Caller,
): VjpContext<P, I> {
  const inputs: Tensor[] = [], outputs: Tensor[] = [];
  const { inputs: whichInputs = [], outputs: whichOutputs = [] } = op.saves ?? {};
  whichInputs.forEach((i, k) => saved[k] && (inputs[i] = saved[k]));
  whichOutputs.forEach((i, k) => outputs[i] = saved[whichInputs.length + k]!);
  return {
    inputs: inputs as unknown as I,
    outputs,
    specs: specs as never,
    params,
    needs: edges.map((edge) => edge !== null) as never,
    into: (i) => {
      const leaf = edges[i]?.leaf;
      return leaf && !leaf.disposed ? leaf.grad : null;
    },
    apply,
    applyInto,
  };
}

/** A handle of one of the node's outputs was disposed, or a later node let go of it. */
export function release(node: Node): void {
  if (--node.uses > 0 || node.freed) return;
  const stack: Node[] = [];
  free(node, stack);
  for (let next = stack.pop(); next; next = stack.pop()) {
    if (--next.uses === 0 && !next.freed) free(next, stack);
  }
}

/** Let go of what `node` saved; the nodes before it that it used go to `stack`. */
function free(node: Node, stack: Node[]): void {
  node.freed = true;
  for (const tensor of node.saved) tensor?.[Symbol.dispose]();
  for (const edge of node.edges) if (edge?.node) stack.push(edge.node);
}

/** Add to the gradient of every leaf that `root` was computed from; `seed` is the gradient of `root`, which is 1 when `isLoss`. Frees the tape as it goes. */
export function backward(root: Node, index: number, seed: Tensor, isLoss = false): void {
  root.isLoss = isLoss;
  const order = reachable(root);
  for (const node of order) node.uses++;
  root.gradients[index] = seed.alias();
  let done = 0;
  try {
    withRecording(false, () => {
      for (const node of order) {
        stepBack(node);
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
function stepBack(node: Node): void {
  if (node.gradients.every((g) => g === null)) return;
  scope(() => {
    const gradients = node.rule(node.gradients, node);
    node.edges.forEach((edge, i) => {
      const gradient = gradients[i];
      if (edge && gradient) send(edge, gradient, node.inputs[i], node.name);
    });
  });
}

function send(edge: Edge, gradient: Tensor, to: TensorSpec, from: string): void {
  // A broadcast input gets the sum over the places it was repeated to.
  const fitting = sameShape(gradient.shape, to.shape) ? gradient : gradient.sumTo(to.shape);
  if (edge.leaf) {
    if (fitting !== edge.leaf.grad) edge.leaf.addGrad(fitting);
    return;
  }
  if (fitting.dtype !== to.dtype) {
    throw new GradError(
      `${from}: its gradient is ${fitting.dtype}, the input ${
        formatShape(to.shape)
      } ${to.dtype}. ` +
        `A gradient rule must return the input's element type.`,
    );
  }
  const { gradients } = edge.node!, before = gradients[edge.index];
  gradients[edge.index] = before ? before.add(fitting).keep() : fitting.alias();
  before?.[Symbol.dispose]();
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
