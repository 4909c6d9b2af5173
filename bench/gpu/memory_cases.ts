/**
 * Every kernel whose time memory bounds, with inputs as large as a transformer's.
 *
 * @module
 */
import { allOps } from "../../tensor/backend/cpu_kernels.ts";
import type { AnyOp, DType, Shape } from "../../tensor/mod.ts";
import { RandomKey } from "../../tensor/mod.ts";
import { adamwFactors } from "../../tensor/ops/adamw.ts";
import type { GpuSizes } from "./sizes.ts";

/** One kernel and what it works on. */
export interface MemoryCase {
  readonly name: string;
  readonly op: AnyOp;
  readonly shapes: readonly Shape[];
  /** Element type of each input; bf16 where there is none. Indices, i32, are less than `bound`. */
  readonly dtypes: readonly (DType | null)[];
  readonly bound: number;
  readonly params: unknown;
  /** Inputs that it reads from end to end; all by default. */
  readonly reads: (input: number) => boolean;
  /** Which input each output is written over; -1 for a new tensor. All new by default. */
  readonly over: readonly number[];
}

/** Ops that arithmetic, sorting or single numbers bound: the bench has rows of their own for them, or none. */
export const otherwiseBound: ReadonlySet<string> = new Set([
  ...["attention", "attentionBackward", "pagedAttention", "linear", "matmul", "matmulWide"],
  ...[
    "gatherDot",
    "gatherDotHidden",
    "gatherDotWeight",
    "sample",
    "sort",
    "topK",
    "stepFactors",
    "linearFp8",
  ],
]);

type Details = Partial<Omit<MemoryCase, "op" | "shapes" | "params">>;

/** All cases: pointwise ops from their samples, the others one by one. */
export function memoryCases(sizes: GpuSizes): MemoryCase[] {
  const ops = new Map(allOps().map((op) => [op.name, op]));
  const of = (
    op: string,
    shapes: readonly Shape[],
    params: unknown = {},
    details: Details = {},
  ): MemoryCase => {
    const defaults = { bound: 1, reads: () => true, over: [] as number[] };
    const { dtypes = [] } = details;
    const main = shapes.length > 0 && dtypes[0] === "f32" ? "f32" : "bf16";
    return {
      name: `${op} ${main}`,
      op: ops.get(op)!,
      shapes,
      dtypes,
      params,
      ...defaults,
      ...details,
    };
  };
  return [
    ...pointwise(ops, sizes, of),
    ...rowwise(sizes, of),
    ...overVocabulary(sizes, of),
    ...picking(sizes, of),
    ...flat(sizes, of),
  ];
}

type Of = (
  op: string,
  shapes: readonly Shape[],
  params?: unknown,
  details?: Details,
) => MemoryCase;

/** Element by element: [rows, dim]. */
function pointwise(ops: ReadonlyMap<string, AnyOp>, { rows, dim }: GpuSizes, of: Of): MemoryCase[] {
  const names = [...ops.values()].filter(({ kernel }) => {
    const cuda = kernel?.cuda;
    return cuda && "source" in cuda && cuda.source.href.endsWith("/pointwise.cu");
  });
  return names.map(({ name, samples: [{ shapes, params }] }) =>
    of(name, shapes.map(() => [rows, dim]), params)
  );
}

/** Along the rows of activations: [rows, dim]. */
function rowwise({ rows, dim, hidden, headDim }: GpuSizes, of: Of): MemoryCase[] {
  const x: Shape = [rows, dim], weight: Shape = [dim], perRow: Shape = [rows];
  const inner: Shape = [rows, hidden], heads = dim / headDim, pairs = headDim / 2;
  const eps = { eps: 1e-5 }, lastF32 = (count: number) => [...Array(count).fill(null), "f32"];
  const turn = { style: "half", offset: 0, inverse: false };
  return [
    of("rmsNorm", [x, weight], eps),
    of("addRmsNorm", [x, x, weight], eps),
    of("rmsNormBackward", [x, x, weight, perRow], { weights: true }, { dtypes: lastF32(3) }),
    of("layerNorm", [x, weight, weight], { ...eps, onePlus: false }),
    of("layerNormBackward", [x, x, weight, perRow, perRow], { weights: true, onePlus: false }, {
      dtypes: [null, null, null, "f32", "f32"],
    }),
    of("rope", [[1, rows, heads, headDim], [rows, pairs, 2]], turn, { dtypes: [null, "f32"] }),
    of("swiglu", [inner, inner]),
    of("swigluBackward", [inner, inner, inner]),
    of("swigluHalves", [[rows, 2 * hidden]]),
    of("sum", [x], { axis: 1, scale: 1 }, { name: "sum of rows bf16" }),
    of("sum", [x], { axis: 0, scale: 1 }, { name: "sum of columns bf16" }),
    of("cumsum", [x], { axis: 1, backwards: false }),
    of("max", [x], { axis: 1 }),
    of("min", [x], { axis: 1 }),
    of("argmax", [x], { axis: 1 }),
    of("extremumBackward", [x, perRow, perRow], { axis: 1 }),
    of("cosineDistance", [x, x], { eps: 1e-8 }),
    of("cosineDistanceBackward", [x, x, perRow], { eps: 1e-8 }, { dtypes: lastF32(2) }),
    of("squaredError", [x, x]),
    of("squaredErrorBackward", [x, x, perRow], {}, { dtypes: lastF32(2) }),
    of("quantizeRows", [[hidden, dim]]),
    of("quantizeFp8", [[hidden, dim]]),
    of("packRows", [[hidden, dim]], { gated: false }, { dtypes: ["f32"] }),
  ];
}

/** Beside a vocabulary: [vocabRows, vocab]. */
function overVocabulary({ vocabRows, vocab }: GpuSizes, of: Of): MemoryCase[] {
  const logits: Shape = [vocabRows, vocab], perRow: Shape = [vocabRows];
  const plain = { ignoreIndex: -1, labelSmoothing: 0, zLoss: 0, temperature: 1 };
  const kl = { direction: "forward", beta: 0.5, temperature: 1 };
  const targets = { bound: vocab, dtypes: [null, "i32", "f32"] as const };
  return [
    of("softmax", [logits], { axis: 1 }),
    of("softmaxBackward", [logits, logits], { axis: 1 }),
    of("logSoftmax", [logits], { axis: 1 }),
    of("logSoftmaxBackward", [logits, logits], { axis: 1 }),
    of("logSumExp", [logits], { axis: 1 }),
    of("logSumExpBackward", [logits, perRow, perRow], { axis: 1 }),
    of("crossEntropy", [logits, perRow], plain, targets),
    of("crossEntropyGradient", [logits, perRow, perRow], plain, {
      ...targets,
      over: [0, -1, -1, -1],
    }),
    of("divergence", [logits, logits], kl),
    of("divergenceGradient", [logits, logits, perRow], kl, { dtypes: [null, null, "f32"] }),
  ];
}

/** Rows and elements by index, and weights that one row reads. */
function picking({ rows, dim, hidden, vocab, headDim }: GpuSizes, of: Of): MemoryCase[] {
  const x: Shape = [rows, dim], heads = dim / headDim;
  const bf16Row = Math.ceil(dim / 4), placed: Shape = [rows, heads, headDim];
  return [
    of("embedding", [[rows], [vocab, dim]], undefined, {
      name: "embedding bf16",
      dtypes: ["i32", null],
      bound: vocab,
      reads: (input) => input === 0, // of the table as much as it writes
    }),
    of("embeddingBackward", [[rows], x], { vocab }, { dtypes: ["i32", null], bound: vocab }),
    of("gather", [x, x], { axis: 1 }, { dtypes: [null, "i32"], bound: dim }),
    of("scatterAdd", [x, x], { axis: 1, size: dim }, { dtypes: ["i32", null], bound: dim }),
    of("concat", [x, x], { axis: 1 }),
    of("where", [x, x, x], undefined, { dtypes: ["u8", null, null] }),
    of("placeHeads", [
      [rows, 3 * heads, headDim],
      [rows, headDim / 2, 2],
      [rows],
      [rows],
      placed,
      placed,
    ], {
      heads,
    }, {
      dtypes: [null, "f32", "i32", "i32", null, null],
      bound: rows,
      over: [-1, 4, 5],
      reads: (input) => input < 4,
    }),
    of("linearInt8", [[1, dim], [hidden / 16, bf16Row, 16, 4], [hidden], [hidden]], undefined, {
      dtypes: [null, "i8", "f32", "i32"],
    }),
    of("linearPacked", [[1, dim], [hidden / 32, dim, 32]], {
      out: hidden,
      gated: false,
      maxima: false,
    }, {
      dtypes: ["f32", "f32"],
    }),
  ];
}

/** Flat memory: parameters, copies, random numbers. */
function flat({ rows, dim }: GpuSizes, of: Of): MemoryCase[] {
  const n: Shape = [rows * dim], f32 = (count: number) => ({ dtypes: Array(count).fill("f32") });
  const unread = { reads: () => false }, random = { key: new RandomKey(1), offset: 0 };
  const decay = { decayCount: rows * dim };
  const step = { ...decay, lr: 1e-3, weightDecay: 0.1, gradScale: 1 };
  return [
    of("adamw", [n, n, n, n, [adamwFactors.length]], {
      ...decay,
      beta1: 0.9,
      beta2: 0.95,
      eps: 1e-8,
    }, {
      ...f32(5),
      over: [0, 2, 3],
    }),
    of("sgd", [n, n], { ...step, momentum: 0, nesterov: false }, { ...f32(2), over: [0] }),
    of("ema", [n, n], { decay: 0.9 }, { ...f32(2), over: [0] }),
    of("globalNorm", [n], undefined, f32(1)),
    of("allFinite", [n], undefined, f32(1)),
    of("copy", [n]),
    of("copy", [n], { dtype: "f32" }, { name: "copy bf16 to f32" }),
    of("copy", [n], { dtype: "bf16" }, { ...f32(1), name: "copy f32 to bf16" }),
    of("fill", [n], { value: 0 }, unread),
    of("uniform", [n], random, unread),
    of("normal", [n], { ...random, mean: 0, std: 1 }, unread),
    of("dropout", [n], { ...random, p: 0.1 }),
  ];
}
