/**
 * Attention as cuDNN is told of it: graphs that read like the formulas. cuDNN recognises them by their operations and the
 * order of these, and has one kernel for the whole of each.
 *
 * Tensors are [batch, heads, time, headDim] there, whatever way they lie in memory.
 *
 * @module
 */
import {
  type Cudnn,
  CudnnGraph,
  denseStrides,
  type Four,
  type GraphTensor,
} from "../../ffi/cuda/mod.ts";

/** Everything about a call of attention but where its tensors are. */
export interface AttentionForm {
  readonly batch: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly queries: number;
  readonly keys: number;
  readonly headDim: number;
  readonly causal: boolean;
  readonly scale: number;
  /** Elements from one to the next batch element, head, token and number of q, k and v. */
  readonly strides: readonly [q: Four, k: Four, v: Four];
}

/** Attention as one operation, which newer versions want. */
const oneOperationSince = 92100;

const swapped = ([batch, heads, rows, columns]: Four): Four => [batch, heads, columns, rows];

/** Strides of [batch, heads, time, headDim] in memory that is [batch, time, heads, headDim]. */
const byToken = ([, heads, time, headDim]: Four): Four => [
  heads * time * headDim,
  headDim,
  heads * headDim,
  1,
];

function shapesOf({ batch, heads, kvHeads, queries, keys, headDim }: AttentionForm): {
  readonly query: Four;
  readonly key: Four;
  readonly scores: Four;
  readonly rows: Four;
} {
  return {
    query: [batch, heads, queries, headDim],
    key: [batch, kvHeads, keys, headDim],
    scores: [batch, heads, queries, keys],
    rows: [batch, heads, queries, 1],
  };
}

/** scores where the key is not after the query, else −∞. */
function hideFuture(graph: CudnnGraph, scores: GraphTensor): GraphTensor {
  const query = graph.index(scores, 2), key = graph.index(scores, 3);
  return graph.select(graph.atLeast(query, key), scores, graph.value(-Infinity));
}

/** out and lse of q, k and v; bound in this order: q, k, v, out, lse. */
export function forwardGraph(cudnn: Cudnn, form: AttentionForm): CudnnGraph {
  const graph = new CudnnGraph(cudnn), { query, key, scores, rows } = shapesOf(form);
  const [qStrides, kStrides, vStrides] = form.strides;
  const asOne = cudnn.version >= oneOperationSince;
  const q = graph.bound(query, qStrides, "bf16");
  const k = asOne
    ? graph.bound(key, kStrides, "bf16")
    : graph.bound(swapped(key), swapped(kStrides), "bf16"); // kᵀ
  const v = graph.bound(key, vStrides, "bf16");
  const out = graph.bound(query, byToken(query), "bf16");
  const lse = graph.bound(rows, byToken(rows), "f32");
  const scale = graph.value(form.scale);
  if (asOne) {
    const mask = (inner: CudnnGraph, x: GraphTensor): GraphTensor => inner.hideAbove(x);
    graph.attention({ q, k, v, out, lse, scale, scores }, form.causal ? mask : null);
    return graph;
  }
  const products = graph.matmul(q, k, graph.virtual(scores));
  const scaled = graph.pointwise("multiply", products, scale);
  const masked = form.causal ? hideFuture(graph, scaled) : scaled;
  const top = graph.reduce("max", masked, graph.virtual(rows));
  const weights = graph.map("exp", graph.pointwise("subtract", masked, top));
  const total = graph.reduce("add", weights, graph.virtual(rows));
  graph.pointwise("add", top, graph.map("log", total), lse);
  const shares = graph.pointwise("divide", weights, total, graph.virtual(scores, "bf16"));
  graph.matmul(shares, v, out);
  return graph;
}

/**
 * Gradients of q, k and v; bound in this order: q, k, v, out, lse, dout, dq, dk, dv, and delta, f32 [batch, heads, queries]
 * of working space. dq is written by one product, not added up by many blocks, so that its bits are always the same.
 */
export function backwardGraph(cudnn: Cudnn, form: AttentionForm): CudnnGraph {
  const graph = new CudnnGraph(cudnn), { query, key, scores, rows } = shapesOf(form);
  const [qStrides, kStrides, vStrides] = form.strides;
  const q = graph.bound(query, qStrides, "bf16");
  const k = graph.bound(swapped(key), swapped(kStrides), "bf16"); // kᵀ
  const v = graph.bound(swapped(key), swapped(vStrides), "bf16"); // vᵀ
  const out = graph.bound(query, byToken(query), "bf16");
  const lse = graph.bound(rows, byToken(rows), "f32");
  const dout = graph.bound(query, byToken(query), "bf16");
  const dq = graph.bound(query, byToken(query), "bf16");
  const dk = graph.bound(key, byToken(key), "bf16");
  const dv = graph.bound(key, byToken(key), "bf16");
  const delta = graph.bound(rows, denseStrides(rows), "f32");
  const scale = graph.value(form.scale);

  // delta = Σ dout ∘ out
  const share = graph.pointwise("multiply", dout, out);
  const sum = graph.reduce("add", share, graph.virtual(rows));
  graph.pointwise("multiply", sum, graph.value(1), delta);
  // weights = exp(scale · q·kᵀ − lse)
  const products = graph.matmul(q, k, graph.virtual(scores));
  const scaled = graph.pointwise("multiply", products, scale);
  const logarithms = graph.pointwise("subtract", scaled, lse);
  const masked = form.causal ? hideFuture(graph, logarithms) : logarithms;
  const weights = graph.map("exp", masked);
  // dv = weightsᵀ·dout
  sumOverHeads(graph, transposed(graph, weights), dout, dv);
  // dscores = scale · weights ∘ (dout·vᵀ − delta)
  const dweights = graph.matmul(dout, v, graph.virtual(scores));
  const centred = graph.pointwise("subtract", dweights, delta);
  const weighted = graph.pointwise("multiply", centred, weights);
  const dscores = graph.pointwise("multiply", weighted, scale);
  // dk = dscoresᵀ·q, dq = dscores·k
  sumOverHeads(graph, transposed(graph, dscores), q, dk);
  graph.matmul(dscores, graph.reshape(k, graph.virtual(key, "bf16", kStrides)), dq);
  return graph;
}

/** xᵀ as bf16, by looking at the same elements the other way round. */
function transposed(graph: CudnnGraph, x: GraphTensor): GraphTensor {
  const shape = swapped(x.shape);
  return graph.reshape(x, graph.virtual(shape, "bf16", swapped(denseStrides(x.shape))));
}

/** y = a·b, of which the heads that share keys are added up. */
function sumOverHeads(graph: CudnnGraph, a: GraphTensor, b: GraphTensor, y: GraphTensor): void {
  const [batch, heads, rows] = a.shape, whole: Four = [batch, heads, rows, b.shape[3]];
  if (y.shape[1] === heads) graph.matmul(a, b, y);
  else graph.reduce("add", graph.matmul(a, b, graph.virtual(whole, "bf16")), y);
}
