/**
 * The head of a language model in chunks of tokens. Its logits, [tokens, vocab], are by far the largest tensor of a
 * training step; losses that need them row by row never hold more than a chunk.
 *
 * @module
 */
import { isRecording } from "../autograd.ts";
import { DTypeError, ShapeError } from "../errors.ts";
import { formatShape } from "../layout.ts";
import * as ops from "../ops/mod.ts";
import { callInto, type Tensor } from "../tensor.ts";
import { wideType } from "./weights.ts";

/** How a head is cut into chunks. */
export interface Chunking {
  /** Tokens whose logits are held at once. By default, as many as have 16 million logits, but 256 at least. */
  readonly chunk?: number;
}

/** Tokens `start` to `end` (not included). */
export interface Rows {
  readonly start: number;
  readonly end: number;
}

/** Throw unless hidden states [tokens, dim] fit a weight [vocab, dim]. */
export function checkHead(op: string, hidden: Tensor, weight: Tensor): void {
  const both = `${formatShape(hidden.shape)} and weight ${formatShape(weight.shape)}`;
  if (hidden.rank !== 2 || weight.rank !== 2 || hidden.shape[1] !== weight.shape[1]) {
    throw new ShapeError(
      `${op}: hidden states [tokens, dim] and a weight [vocab, dim] are needed, ${both}. ` +
        `Reshape the hidden states.`,
    );
  }
  if (hidden.dtype !== weight.dtype) {
    throw new DTypeError(
      `${op}: ${hidden.dtype} hidden states and ${weight.dtype} weights do not mix. Cast one.`,
    );
  }
}

/** Tokens per chunk. Throws RangeError unless `chunk` is a whole number of at least 1. */
export function chunkSize(op: string, vocab: number, { chunk }: Chunking): number {
  // A large chunk goes through the gradient of the weight less often. A multiple of 64 suits the tiles of products.
  if (chunk === undefined) return Math.max(256, Math.floor(2 ** 18 / Math.max(1, vocab)) * 64);
  if (!Number.isInteger(chunk) || chunk < 1) {
    throw new RangeError(`${op}: chunk must be a whole number of at least 1 (${chunk}).`);
  }
  return chunk;
}

/** The chunks that `tokens` fall into. */
export function chunksOf(tokens: number, chunk: number): Rows[] {
  return Array.from({ length: Math.ceil(tokens / chunk) }, (_, i) => ({
    start: i * chunk,
    end: Math.min(tokens, (i + 1) * chunk),
  }));
}

/** The part of a tensor that belongs to some tokens. */
export function rowsOf(x: Tensor, { start, end }: Rows): Tensor {
  return x.slice(0, start, end);
}

/** Computes the logits of one chunk after the other in the same memory, f32 whatever the head is. */
export class ChunkedHead {
  readonly #hidden: Tensor;
  readonly #weight: Tensor;
  readonly #logits: Tensor;
  #gradient: Tensor | null = null;

  /** hidden: [tokens, dim], weight: [vocab, dim]. */
  constructor(hidden: Tensor, weight: Tensor, chunk: number) {
    const rows = Math.min(chunk, hidden.shape[0]);
    this.#hidden = hidden;
    this.#weight = weight;
    this.#logits = hidden.newEmpty([rows, weight.shape[0]], wideType(hidden.dtype));
  }

  /** hidden·Wᵀ of some tokens; overwritten by the next call. */
  logits(rows: Rows): Tensor {
    const logits = this.#logits.slice(0, 0, rows.end - rows.start);
    callInto(ops.matmulWide, [rowsOf(this.#hidden, rows), this.#weight.t()], [logits], {});
    return logits;
  }

  /** Memory for the gradient of these logits, in the head's type: where the logits lie if that is theirs. */
  gradient({ start, end }: Rows): Tensor {
    const same = this.#hidden.dtype === this.#logits.dtype;
    this.#gradient ??= same ? this.#logits : this.#hidden.newEmpty(this.#logits.shape);
    return this.#gradient.slice(0, 0, end - start);
  }
}

/** Which gradients of a head are wanted. */
export interface HeadNeeds {
  readonly hidden: boolean;
  readonly weight: boolean;
}

/** Those that are wanted of a call made now. */
export function headNeeds(hidden: Tensor, weight: Tensor): HeadNeeds {
  const on = isRecording();
  return { hidden: on && hidden.requiresGrad, weight: on && weight.requiresGrad };
}

/** Gradients of a head; null where none is wanted. */
export interface HeadGradients {
  /** In the type of the hidden states, [tokens, dim]. */
  readonly hidden: Tensor | null;
  /** f32 [vocab, dim]. */
  readonly weight: Tensor | null;
}

/** Sums up the gradients of a head from those of its logits, chunk by chunk. */
export class HeadGradient {
  /** What was summed up so far. */
  readonly results: HeadGradients;
  readonly #head: readonly [hidden: Tensor, weight: Tensor];
  #accumulate: boolean;

  /** `into` is a gradient of the weight to add to, if there is any. */
  constructor(hidden: Tensor, weight: Tensor, needs: HeadNeeds, into: Tensor | null = null) {
    const wide = wideType(hidden.dtype);
    this.#head = [hidden, weight];
    this.#accumulate = into !== null;
    this.results = {
      hidden: needs.hidden ? hidden.newEmpty(hidden.shape) : null,
      weight: needs.weight ? into ?? weight.newEmpty(weight.shape, wide) : null,
    };
    if (hidden.shape[0] === 0 && !into) this.results.weight?.fill(0);
  }

  /** d: [rows, vocab], the gradient of the logits of these tokens, in the type of the hidden states. */
  add(d: Tensor, rows: Rows): void {
    const [hidden, weight] = this.#head, results = this.results;
    if (results.hidden) callInto(ops.matmul, [d, weight], [rowsOf(results.hidden, rows)], {});
    if (!results.weight) return;
    const params = { accumulate: this.#accumulate };
    callInto(ops.matmulWide, [d.t(), rowsOf(hidden, rows)], [results.weight], params);
    this.#accumulate = true;
  }
}
