/**
 * Scaled dot-product attention (Vaswani et al., 2017) without storing the scores (Dao et al., "FlashAttention", 2022), for
 * heads that share keys and values (Ainslie et al., "GQA", 2023) and sequences of different lengths.
 *
 * @module
 */
import type { Arguments } from "../../ffi/mod.ts";
import { isContiguous, sizeOf } from "../layout.ts";
import type { NumberTensor, Op, TensorSpec, View } from "../op.ts";
import type { Sequences } from "../sequences.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { backwardSamples, blockSamples, forwardSamples } from "./attention_samples.ts";
import { backwardOnCuda, forwardOnCuda } from "./attention_launch.ts";
import { checkHeads, checkSequences, checkSequenceTensors } from "./attention_checks.ts";
import { isHeadContiguous, tokenStride } from "./heads.ts";
import { readIntegers } from "./integers.ts";
import { statisticsType } from "./norm.ts";

/** How `Tensor.attention()` attends. */
export interface AttentionOptions {
  /** A query sees no key after its own position; off by default. Queries are the last positions of the keys. */
  readonly causal?: boolean;
  /** A query sees keys less than this many positions away; 0, the default, for all. */
  readonly window?: number;
  /** What products of queries and keys are multiplied by; 1 / √headDim by default. */
  readonly scale?: number;
  /** Where sequences lie among the tokens; by default every batch element is one. */
  readonly sequences?: Sequences;
}

/** Which keys a query sees, and how scores are scaled. */
export interface AttentionParams {
  /** A query sees no key after its own position. */
  readonly causal: boolean;
  /** A query sees keys less than this many positions away; 0 for all. */
  readonly window: number;
  /** What products of queries and keys are multiplied by. */
  readonly scale: number;
  /** Keys lie in blocks of so many tokens, a power of two of at least 16; 0, the default, for runs. */
  readonly blockTokens?: number;
  /** Each batch element is one sequence. */
  readonly whole?: boolean;
}

/** Where sequences lie among packed tokens: see `Sequences`. */
type SequenceTensors = readonly [queryOffsets: Tensor, keyStarts: Tensor, keyLengths: Tensor];
/** Queries, keys, values, and where the sequences lie. */
export type AttentionInputs = readonly [q: Tensor, k: Tensor, v: Tensor, ...SequenceTensors];
/** What forward saw and computed, the gradient of its output, and where the sequences lie. */
export type AttentionBackwardInputs = readonly [
  ...readonly [q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, dout: Tensor],
  ...SequenceTensors,
];

const tokensOf = ({ shape }: TensorSpec): number => sizeOf(shape.slice(0, -2));

/** Gradients of q, k and v. The weights are computed again from the saved log-sum-exp. */
const attentionBackward: Op<AttentionParams, AttentionBackwardInputs> = {
  name: "attentionBackward",
  outputs: ([q, k, v]) => [q, k, v].map(({ shape, dtype }) => ({ shape, dtype })),
  reference: backwardReference,
  kernel: {
    source: new URL("./attention_backward.c", import.meta.url),
    entry: "attention_backward",
    cuda: backwardOnCuda,
    strided: (x, input) => input < 3 ? isReadable(x) : isContiguous(x),
    arguments: (to, [q, k, v, out, lse, dout, ...sequences], gradients, params) => {
      for (const x of [q, k, v, out, lse, dout, ...gradients]) to.address(addressOf(x));
      appendAttention(to, [q, k, v], sequences, params);
    },
    error: (_, [q, k, , , , , ...sequences]) =>
      checkSequences(sequences.map(readIntegers), tokensOf(q), tokensOf(k), true)!,
  },
  samples: backwardSamples(),
};

/**
 * softmax(scale · q·kᵀ + mask)·v for each head of each sequence, head h of q with head ⌊h · kvHeads / heads⌋ of k and v.
 * q: [batch, time, heads, headDim], k and v: [batch, keys, kvHeads, headDim]; or without the batch axis. The queries of a
 * sequence are its last positions: query i of n among m keys is at m − n + i. Outputs out, and lse: the logarithm of each
 * softmax's denominator, f32 [batch, time, heads].
 */
export const attention: Op<AttentionParams, AttentionInputs> = {
  name: "attention",
  outputs: ([q, k, v, ...sequences], { window, blockTokens = 0 }) => {
    checkHeads(q, k, v, window);
    checkSequenceTensors(sequences, blockTokens);
    const { shape, dtype } = q;
    return [{ shape, dtype }, { shape: shape.slice(0, -1), dtype: statisticsType(dtype) }];
  },
  reference: forwardReference,
  kernel: {
    source: new URL("./attention.c", import.meta.url),
    entry: "attention",
    cuda: forwardOnCuda,
    strided: (x, input) => input < 3 ? isReadable(x) : isContiguous(x),
    arguments: (to, [q, k, v, ...sequences], outputs, params) => {
      for (const x of [q, k, v, ...outputs]) to.address(addressOf(x));
      appendAttention(to, [q, k, v], sequences, params);
    },
    error: (_, [q, k, , ...sequences], { blockTokens }) =>
      checkSequences(sequences.map(readIntegers), tokensOf(q), tokensOf(k), false, blockTokens)!,
  },
  saves: { inputs: [0, 1, 2, 3, 4, 5], outputs: [0, 1] },
  constantOutputs: [1],
  companions: [attentionBackward],
  vjp: ([dout], { inputs: [q, k, v, ...sequences], outputs: [out, lse], params, apply }) => {
    const inputs = [q, k, v, out, lse, dout, ...sequences] as const;
    const [dq, dk, dv] = apply(attentionBackward, inputs, params);
    return [dq, dk, dv, null, null, null];
  },
  samples: forwardSamples(),
};

/**
 * The same with keys and values in blocks of `blockTokens` tokens, as caches of many sequences keep them (Kwon et al.,
 * "PagedAttention", 2023): keyStarts, [sequences, blocks], holds the numbers of each sequence's blocks. It has no gradient.
 */
export const pagedAttention: Op<AttentionParams, AttentionInputs> = {
  name: "pagedAttention",
  outputs: attention.outputs,
  reference: attention.reference,
  kernel: attention.kernel!,
  samples: blockSamples(),
};

/** Whether the kernels read these heads where they lie: one step from token to token. */
function isReadable(x: View): boolean {
  return isHeadContiguous(x) && tokenStride(x) !== null;
}

/** The slots of `attention_of` in attention.h. */
function appendAttention(
  to: Arguments,
  heads: readonly View[],
  sequences: readonly View[],
  { causal, window, scale, blockTokens = 0 }: AttentionParams,
): void {
  const [q, k] = heads;
  for (const x of sequences) to.address(addressOf(x));
  to.integer(sequences[1].shape[0]);
  to.integer(q.shape.at(-2)!).integer(k.shape.at(-2)!).integer(q.shape.at(-1)!);
  for (const x of heads) to.integer(tokenStride(x)!).integer(x.strides.at(-2)!);
  to.integer(causal ? 1 : 0).integer(window).float(scale);
  to.integer(tokensOf(q)).integer(tokensOf(k));
  to.integer(blockTokens).integer(blockTokens > 0 ? sequences[1].shape[1] : 0);
}

/** One query of one head: where it lies, and the keys that it sees. */
interface Row {
  /** First element in q and out, and index in lse. */
  readonly query: number;
  readonly lse: number;
  /** First element in k and v of each key that it sees. */
  readonly keys: readonly number[];
}

/** Every query of every head. Throws IndexError when sequences lie outside the tokens. */
function* rowsOf(
  q: NumberTensor,
  k: NumberTensor,
  sequences: readonly NumberTensor[],
  { causal, window, blockTokens = 0 }: AttentionParams,
  disjoint: boolean,
): Generator<Row> {
  const [heads, headDim] = q.shape.slice(-2), kvHeads = k.shape.at(-2)!;
  const arrays = sequences.map(({ data }) => data as Int32Array);
  const error = checkSequences(arrays, tokensOf(q), tokensOf(k), disjoint, blockTokens);
  if (error) throw error;
  const [queryOffsets, keyStarts, keyLengths] = arrays, reach = window || Infinity;
  const blocks = blockTokens > 0 ? sequences[1].shape[1] : 0;
  const tokenOf = (s: number, key: number): number => {
    if (blockTokens === 0) return keyStarts[s] + key;
    return keyStarts[s * blocks + Math.floor(key / blockTokens)] * blockTokens + key % blockTokens;
  };
  for (let s = 0; s < keyLengths.length; s++) {
    const queries = queryOffsets[s + 1] - queryOffsets[s];
    for (let i = 0; i < queries * heads; i++) {
      const query = Math.floor(i / heads), head = i % heads;
      const position = keyLengths[s] - queries + query;
      const kvHead = Math.floor(head * kvHeads / heads), keys: number[] = [];
      for (let key = 0; key < keyLengths[s]; key++) {
        if (Math.abs(position - key) >= reach || (causal && key > position)) continue;
        keys.push((tokenOf(s, key) * kvHeads + kvHead) * headDim);
      }
      const lse = (queryOffsets[s] + query) * heads + head;
      yield { query: lse * headDim, lse, keys };
    }
  }
}

/** Σ a[i + d]·b[j + d] over a head. */
function dot(n: number, a: NumberTensor, i: number, b: NumberTensor, j: number): number {
  let sum = 0;
  for (let d = 0; d < n; d++) sum += a.data[i + d] * b.data[j + d];
  return sum;
}

function forwardReference(
  [q, k, v, ...sequences]: readonly NumberTensor[],
  [out, lse]: readonly NumberTensor[],
  params: AttentionParams,
): void {
  const headDim = q.shape.at(-1)!;
  out.data.fill(0);
  for (const row of rowsOf(q, k, sequences, params, false)) {
    const scores = row.keys.map((key) => params.scale * dot(headDim, q, row.query, k, key));
    const top = scores.reduce((a, b) => Math.max(a, b), -Infinity);
    const total = scores.reduce((sum, score) => sum + Math.exp(score - top), 0);
    lse.data[row.lse] = row.keys.length > 0 ? top + Math.log(total) : -Infinity;
    row.keys.forEach((key, j) => {
      const weight = Math.exp(scores[j] - top) / total;
      for (let d = 0; d < headDim; d++) out.data[row.query + d] += weight * v.data[key + d];
    });
  }
}

function backwardReference(
  [q, k, v, out, lse, dout, ...sequences]: readonly NumberTensor[],
  [dq, dk, dv]: readonly NumberTensor[],
  params: AttentionParams,
): void {
  const headDim = q.shape.at(-1)!, { scale } = params;
  for (const gradient of [dq, dk, dv]) gradient.data.fill(0);
  for (const { query, lse: index, keys } of rowsOf(q, k, sequences, params, true)) {
    const delta = dot(headDim, dout, query, out, query);
    for (const key of keys) {
      const weight = Math.exp(scale * dot(headDim, q, query, k, key) - lse.data[index]);
      const ds = scale * weight * (dot(headDim, dout, query, v, key) - delta);
      for (let d = 0; d < headDim; d++) {
        dq.data[query + d] += ds * k.data[key + d];
        dk.data[key + d] += ds * q.data[query + d];
        dv.data[key + d] += weight * dout.data[query + d];
      }
    }
  }
}
