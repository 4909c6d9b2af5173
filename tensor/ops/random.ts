/**
 * Tensors of random numbers, and dropout. Element i is a function of a key and a counter: the same on every device, in
 * every batch, with any number of threads.
 *
 * @module
 */
import type { Arguments } from "../../ffi/mod.ts";
import { isFloating } from "../dtype.ts";
import { DTypeError } from "../errors.ts";
import { type Shape, sizeOf } from "../layout.ts";
import type { Sample, TensorSpec, Unary } from "../op.ts";
import { randomBlock, RandomKey } from "../random.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { overElements } from "./launch.ts";

/** Which numbers of a key a tensor is filled with. */
export interface RandomOptions {
  /** Counter of the first element, 0 by default; that of element i is `offset` + i. */
  readonly offset?: number;
}

/** A normal distribution, and which numbers of a key a tensor is filled with. */
export interface NormalOptions extends RandomOptions {
  /** 0 by default. */
  readonly mean?: number;
  /** Standard deviation; 1 by default. */
  readonly std?: number;
}

/** Where random numbers come from. */
export interface RandomParams {
  readonly key: RandomKey;
  /** Counter of the first element; that of element i is `offset` + i. */
  readonly offset: number;
}

/** A normal distribution, and where its numbers come from. */
export interface NormalParams extends RandomParams {
  readonly mean: number;
  /** Standard deviation. */
  readonly std: number;
}

/** What to drop. */
export interface DropoutParams extends RandomParams {
  /** Probability that an element becomes 0. */
  readonly p: number;
}

const source = new URL("./random.c", import.meta.url);
const cudaSource = new URL("./random.cu", import.meta.url);
const key = new RandomKey([0x243f6a88, 0x85a308d3]);

/** Around the four words of a block and the words that kernels make at once; offsets inside a block and beyond 2³⁴. */
const places: readonly (readonly [shape: Shape, offset: number])[] = [
  [[], 0],
  [[5], 3],
  [[2, 33], 1],
  [[64], 64],
  [[300], 2 ** 35 - 130],
  [[90, 100], 7],
  [[0, 3], 0],
];

function samplesOf<P>(params: P): Sample<P & RandomParams, readonly [Tensor]>[] {
  return places.map(([shape, offset]) => ({ shapes: [shape], params: { ...params, key, offset } }));
}

/** Random words from counter `offset` on. */
function* wordsFrom({ key, offset }: RandomParams, count: number): Generator<number> {
  let block = randomBlock(key, Math.floor(offset / 4));
  for (let i = offset; i < offset + count; i++) {
    if (i > offset && i % 4 === 0) block = randomBlock(key, i / 4);
    yield block[i % 4];
  }
}

/** Uniform numbers in [0, 1), of as many bits as the element type holds. The input gives shape and type. */
export const uniform: Unary<RandomParams> = {
  name: "uniform",
  outputs: ([x], params) => [checked("uniform", x, params)],
  reference: ([x], [out], params) => {
    const bits = x.dtype === "bf16" ? 8 : 24;
    let i = 0;
    for (const word of wordsFrom(params, out.data.length)) {
      out.data[i++] = (word >>> (32 - bits)) / 2 ** bits;
    }
  },
  kernel: {
    source,
    entry: "uniform",
    cuda: { source: cudaSource, launches: (_, [out]) => [overElements(sizeOf(out.shape) + 4)] },
    strided: true,
    arguments: (to, _, [out], params) => {
      to.address(addressOf(out)).integer(sizeOf(out.shape));
      appendKey(to, params);
    },
  },
  vjp: () => [null],
  samples: samplesOf({}),
};

/** Normal numbers, two from each two words (Box & Muller, 1958). The input gives shape and type. */
export const normal: Unary<NormalParams> = {
  name: "normal",
  outputs: ([x], params) => [checked("normal", x, params)],
  reference: (_, [out], { mean, std, ...params }) => {
    const { key, offset } = params, size = out.data.length;
    for (let pair = Math.floor(offset / 2); 2 * pair < offset + size; pair++) {
      const words = randomBlock(key, Math.floor(pair / 2)), at = pair % 2 * 2;
      const radius = Math.sqrt(-2 * Math.log((words[at] + 0.5) / 2 ** 32));
      const angle = 2 * Math.PI * words[at + 1] / 2 ** 32, i = 2 * pair - offset;
      if (i >= 0) out.data[i] = mean + std * radius * Math.cos(angle);
      if (i + 1 < size) out.data[i + 1] = mean + std * radius * Math.sin(angle);
    }
  },
  kernel: {
    source,
    entry: "normal",
    cuda: { source: cudaSource, launches: (_, [out]) => [overElements(sizeOf(out.shape) + 4)] },
    strided: true,
    arguments: (to, _, [out], params) => {
      to.address(addressOf(out)).integer(sizeOf(out.shape));
      appendKey(to, params).float(params.mean).float(params.std);
    },
  },
  vjp: () => [null],
  samples: samplesOf({ mean: 0.5, std: 2 }),
};

/**
 * Zeros where chance falls below p, x / (1 − p) elsewhere (Srivastava et al., 2014). Nothing is kept for the gradient: the
 * key gives the same elements again.
 */
export const dropout: Unary<DropoutParams> = {
  name: "dropout",
  outputs: ([x], params) => {
    const { p } = params;
    if (!(p >= 0 && p < 1)) {
      throw new RangeError(`dropout: the probability is out of range (${p}). Use 0 to below 1.`);
    }
    return [checked("dropout", x, params)];
  },
  reference: ([x], [out], params) => {
    const threshold = thresholdOf(params), scale = 1 / (1 - params.p);
    let i = 0;
    for (const word of wordsFrom(params, out.data.length)) {
      out.data[i] = word >= threshold ? x.data[i] * scale : 0;
      i++;
    }
  },
  kernel: {
    source,
    entry: "dropout",
    cuda: { source: cudaSource, launches: (_, [out]) => [overElements(sizeOf(out.shape) + 4)] },
    arguments: (to, [x], [out], params) => {
      to.address(addressOf(out)).address(addressOf(x)).integer(sizeOf(x.shape));
      appendKey(to, params).integer(thresholdOf(params)).float(1 / (1 - params.p));
    },
  },
  vjp: ([g], { params, apply }) => apply(dropout, [g], params) as [Tensor],
  samples: samplesOf({ p: 0.3 }),
};

/** The smallest random word whose element is kept. */
function thresholdOf({ p }: DropoutParams): number {
  return Math.floor(p * 2 ** 32);
}

function appendKey(to: Arguments, { key, offset }: RandomParams): Arguments {
  return to.integer(key.words[0]).integer(key.words[1]).integer(offset);
}

function checked(op: string, { shape, dtype }: TensorSpec, { offset }: RandomParams): TensorSpec {
  if (!isFloating(dtype)) {
    throw new DTypeError(`${op}: ${dtype} holds no such numbers. Use f32 or bf16.`);
  }
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new RangeError(`${op}: the offset is out of range (${offset}). Use a whole number.`);
  }
  return { shape, dtype };
}
