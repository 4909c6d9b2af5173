import { NativeError } from "../status.ts";
import type { Cudnn, CudnnDescriptor } from "./cudnn.ts";
import {
  attributes,
  dataTypes,
  heuristicModeA,
  pointwiseModes,
  reductionOperators,
} from "./cudnn_numbers.ts";

/** Sizes, or elements from one to the next, of four axes. */
export type Four = readonly [number, number, number, number];

/** Element type of a tensor of a graph. */
export type GraphType = keyof typeof dataTypes;

/** A tensor of a graph. */
export interface GraphTensor {
  /** Its descriptor. */
  readonly descriptor: CudnnDescriptor;
  /** Its number in the graph. */
  readonly id: number;
  /** Sizes of its axes. */
  readonly shape: Four;
}

/** Most engines that are asked for, best first. */
const candidates = 8;
const alignment = 16;

/** Elements from one to the next of a tensor that lies row by row. */
export function denseStrides([, heads, rows, columns]: Four): Four {
  return [heads * rows * columns, rows * columns, columns, 1];
}

/** A computation, which cuDNN compiles into one kernel or a few. It is written down operation by operation. */
export class CudnnGraph {
  readonly #cudnn: Cudnn;
  readonly #parts: CudnnDescriptor[] = [];
  readonly #operations: CudnnDescriptor[] = [];
  readonly #bound: GraphTensor[] = [];
  readonly #values: { readonly tensor: GraphTensor; readonly value: number }[] = [];
  #nextId = 1;

  /** An empty graph. */
  constructor(cudnn: Cudnn) {
    this.#cudnn = cudnn;
  }

  /** A tensor in memory that is named when the plan runs, in the order of these calls. */
  bound(shape: Four, strides: Four, type: GraphType): GraphTensor {
    const tensor = this.#tensor(shape, strides, type);
    this.#bound.push(tensor);
    return tensor;
  }

  /** A tensor that is never stored. */
  virtual(shape: Four, type: GraphType = "f32", strides: Four = denseStrides(shape)): GraphTensor {
    return this.#tensor(shape, strides, type, attributes.tensor.isVirtual);
  }

  /** A number, f32. */
  value(value: number): GraphTensor {
    const one: Four = [1, 1, 1, 1], { isByValue } = attributes.tensor;
    const tensor = this.#tensor(one, one, "f32", isByValue);
    this.#values.push({ tensor, value });
    return tensor;
  }

  /** y = a·b: [batch, heads, m, k]·[batch, heads or fewer, k, n] → [batch, heads, m, n]. */
  matmul(a: GraphTensor, b: GraphTensor, y: GraphTensor): GraphTensor {
    const kind = this.#part("matmul")
      .choice(attributes.matmul.precision, "dataType", dataTypes.f32).finalize();
    const names = attributes.matmulOperation;
    this.#operation("matmulOperation")
      .parts(names.a, a.descriptor).parts(names.b, b.descriptor).parts(names.c, y.descriptor)
      .parts(names.kind, kind).finalize();
    return y;
  }

  /** y = x ∘ b; f32 of the shape of x unless a y is given. */
  pointwise(
    mode: "add" | "multiply" | "divide" | "subtract",
    x: GraphTensor,
    b: GraphTensor,
    y: GraphTensor = this.virtual(x.shape),
  ): GraphTensor {
    return this.#pointwise(mode, { x, b, y });
  }

  /** y = f(x), f32. */
  map(mode: "exp" | "log", x: GraphTensor): GraphTensor {
    return this.#pointwise(mode, { x, y: this.virtual(x.shape) });
  }

  /** For each element of x its place along an axis, i32. */
  index(x: GraphTensor, axis: number): GraphTensor {
    return this.#pointwise("index", { x, y: this.virtual(x.shape, "i32"), axis });
  }

  /** Whether x ≥ b. */
  atLeast(x: GraphTensor, b: GraphTensor): GraphTensor {
    return this.#pointwise("atLeast", { x, b, y: this.virtual(x.shape, "boolean") }, "boolean");
  }

  /** x where `select` holds, else b. */
  select(select: GraphTensor, x: GraphTensor, b: GraphTensor): GraphTensor {
    return this.#pointwise("select", { x, b, select, y: this.virtual(x.shape) });
  }

  /** y = x reduced along the axes of which y has size 1, or a divisor. */
  reduce(operator: keyof typeof reductionOperators, x: GraphTensor, y: GraphTensor): GraphTensor {
    const kind = this.#part("reduction")
      .choice(attributes.reduction.operator, "reductionOperator", reductionOperators[operator])
      .choice(attributes.reduction.precision, "dataType", dataTypes.f32).finalize();
    const names = attributes.reductionOperation;
    this.#operation("reductionOperation")
      .parts(names.x, x.descriptor).parts(names.y, y.descriptor).parts(names.kind, kind).finalize();
    return y;
  }

  /** The same elements looked at differently, as the strides of y say. */
  reshape(x: GraphTensor, y: GraphTensor): GraphTensor {
    const names = attributes.reshapeOperation;
    this.#operation("reshapeOperation")
      .parts(names.x, x.descriptor).parts(names.y, y.descriptor).finalize();
    return y;
  }

  /** x where its row is at least its column, else −∞, as one operation. Since 9.21. */
  hideAbove(x: GraphTensor): GraphTensor {
    const y = this.virtual(x.shape), names = attributes.bandMaskOperation;
    this.#operation("bandMaskOperation")
      .parts(names.x, x.descriptor).parts(names.b, this.value(-Infinity).descriptor)
      .parts(names.y, y.descriptor)
      .choice(names.comparison, "pointwiseMode", pointwiseModes.atLeast).finalize();
    return y;
  }

  /**
   * Attention as one operation: scores = q·kᵀ · scale go through `mask`, which is a graph of their own, and softmax, which
   * also leaves its log-sum-exp. Since 9.21.
   */
  attention(
    { q, k, v, out, lse, scale, scores }:
      & Readonly<
        Record<"q" | "k" | "v" | "out" | "lse" | "scale", GraphTensor>
      >
      & { readonly scores: Four },
    mask: ((graph: CudnnGraph, scores: GraphTensor) => GraphTensor) | null,
  ): void {
    const names = attributes.attentionOperation, of = attributes.softmaxOperation;
    const before = this.virtual(scores), after = this.virtual(scores);
    const softmax = this.#part("softmaxOperation")
      .parts(of.x, before.descriptor).parts(of.y, after.descriptor)
      .parts(of.statistics, lse.descriptor).finalize();
    const masking = mask && this.#subgraph(scores, mask);
    const operation = this.#operation("attentionOperation")
      .parts(names.q, q.descriptor).parts(names.k, k.descriptor).parts(names.v, v.descriptor)
      .parts(names.out, out.descriptor).parts(names.softmax, softmax)
      .parts(names.scale, scale.descriptor);
    if (masking) {
      operation.parts(names.subgraph, masking.graph)
        .integers(names.subgraphInput, masking.input.id)
        .integers(names.subgraphOutput, masking.output.id);
    }
    operation.finalize();
  }

  /**
   * Compiles the graph: with the first engine that takes it, of those that should be fastest.
   *
   * @param device What it is compiled for where there is no device: its properties, as JSON.
   * @throws {NativeError} When there is none.
   */
  plan(device: string | null = null): CudnnPlan {
    const names = attributes.plan,
      target = device === null ? null : this.#part("deviceProperties")
        .text(attributes.deviceProperties.json, device).finalize();
    const failures: NativeError[] = [];
    for (const config of this.#engines(this.#graph(), target)) {
      const plan = this.#cudnn.descriptor("plan").parts(names.engineConfig, config);
      if (target) plan.parts(names.device, target);
      else plan.handle(names.handle);
      try {
        plan.finalize();
      } catch (error) {
        plan[Symbol.dispose]();
        if (!(error instanceof NativeError)) throw error;
        failures.push(error);
        continue;
      }
      return new CudnnPlan(this.#cudnn, plan, this.#bound, this.#values, this.#parts);
    }
    throw failures[0] ?? new NativeError(
      "cudnnBackendFinalize(plan)",
      3000,
      "no engine takes this graph",
      "It is computed by kernels of our own.",
    );
  }

  /** Engines that may take the graph, the fastest first. */
  #engines(graph: CudnnDescriptor, device: CudnnDescriptor | null): readonly CudnnDescriptor[] {
    const names = attributes.engineHeuristics;
    const heuristics = this.#part("heuristics")
      .parts(names.graph, graph).choice(names.mode, "heuristicMode", heuristicModeA);
    if (device) heuristics.parts(names.device, device);
    const configs = Array.from({ length: candidates }, () => this.#part("engineConfig"));
    return heuristics.finalize().fill(names.results, configs);
  }

  #graph(): CudnnDescriptor {
    const graph = this.#part("graph").parts(attributes.graph.operations, ...this.#operations);
    if (this.#cudnn.handle) graph.handle(attributes.graph.handle);
    return graph.finalize();
  }

  /** A graph inside of an operation, whose tensors are numbered with those of this one. */
  #subgraph(shape: Four, write: (graph: CudnnGraph, x: GraphTensor) => GraphTensor): {
    readonly graph: CudnnDescriptor;
    readonly input: GraphTensor;
    readonly output: GraphTensor;
  } {
    const inner = new CudnnGraph(this.#cudnn);
    inner.#nextId = this.#nextId;
    const input = inner.virtual(shape), output = write(inner, input);
    const graph = inner.#part("graph").parts(attributes.graph.operations, ...inner.#operations)
      .finalize();
    this.#nextId = inner.#nextId;
    this.#parts.push(...inner.#parts);
    this.#values.push(...inner.#values);
    return { graph, input, output };
  }

  #tensor(shape: Four, strides: Four, type: GraphType, flag?: number): GraphTensor {
    const names = attributes.tensor, id = this.#nextId++;
    const descriptor = this.#part("tensor").choice(names.type, "dataType", dataTypes[type])
      .integers(names.shape, ...shape).integers(names.strides, ...strides)
      .integers(names.id, id).integers(names.alignment, alignment);
    if (flag !== undefined) descriptor.flag(flag);
    return { descriptor: descriptor.finalize(), id, shape };
  }

  #pointwise(
    mode: keyof typeof pointwiseModes,
    { x, b, select, y, axis }: {
      readonly x: GraphTensor;
      readonly b?: GraphTensor;
      readonly select?: GraphTensor;
      readonly y: GraphTensor;
      readonly axis?: number;
    },
    precision: GraphType = "f32",
  ): GraphTensor {
    const kind = this.#part("pointwise")
      .choice(attributes.pointwise.mode, "pointwiseMode", pointwiseModes[mode])
      .choice(attributes.pointwise.precision, "dataType", dataTypes[precision]);
    if (axis !== undefined) kind.integers(attributes.pointwise.axis, axis);
    const names = attributes.pointwiseOperation;
    const operation = this.#operation("pointwiseOperation").parts(names.kind, kind.finalize())
      .parts(names.x, x.descriptor).parts(names.y, y.descriptor)
      .number(names.alpha1, 1).number(names.alpha2, 1);
    if (b) operation.parts(names.b, b.descriptor);
    if (select) operation.parts(names.select, select.descriptor);
    operation.finalize();
    return y;
  }

  #operation(kind: Parameters<Cudnn["descriptor"]>[0]): CudnnDescriptor {
    const operation = this.#part(kind);
    this.#operations.push(operation);
    return operation;
  }

  #part(kind: Parameters<Cudnn["descriptor"]>[0]): CudnnDescriptor {
    const part = this.#cudnn.descriptor(kind);
    this.#parts.push(part);
    return part;
  }
}

/** A compiled graph. */
export class CudnnPlan {
  /** Bytes of working space that a run needs. */
  readonly workspaceBytes: number;
  readonly #cudnn: Cudnn;
  readonly #plan: CudnnDescriptor;
  readonly #ids: readonly number[];
  // Read by the library when a plan runs. In a buffer of its own, because V8 may move what lies on its heap.
  readonly #values: Float32Array<ArrayBuffer>;
  readonly #valueAddresses: readonly number[];

  /** Made by `CudnnGraph.plan()`; `parts` are what the plan was made of. */
  constructor(
    cudnn: Cudnn,
    plan: CudnnDescriptor,
    bound: readonly GraphTensor[],
    values: readonly { readonly tensor: GraphTensor; readonly value: number }[],
    readonly parts: readonly CudnnDescriptor[],
  ) {
    this.#cudnn = cudnn;
    this.#plan = plan;
    this.workspaceBytes = plan.integer(attributes.plan.workspaceBytes);
    this.#ids = [...bound, ...values.map(({ tensor }) => tensor)].map(({ id }) => id);
    this.#values = new Float32Array(new ArrayBuffer(4 * Math.max(1, values.length)));
    this.#values.set(values.map(({ value }) => value));
    const base = Number(Deno.UnsafePointer.value(Deno.UnsafePointer.of(this.#values)));
    this.#valueAddresses = values.map((_, i) => base + 4 * i);
  }

  /** Starts it. `addresses`: of the bound tensors, in the order in which they were made. */
  run(addresses: readonly number[], workspace: number): void {
    using pack = this.#cudnn.descriptor("pack");
    pack.integers(attributes.pack.ids, ...this.#ids)
      .addresses(attributes.pack.pointers, [...addresses, ...this.#valueAddresses])
      .addresses(attributes.pack.workspace, [workspace]).finalize();
    this.#cudnn.execute(this.#plan, pack);
  }
}
