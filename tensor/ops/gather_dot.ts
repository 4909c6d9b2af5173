/**
 * A few chosen logits of each token.
 *
 * @module
 */
import type { DType } from "../dtype.ts";
import { DTypeError, IndexError, ShapeError } from "../errors.ts";
import { formatShape, type Shape, sizeOf } from "../layout.ts";
import type { NumberTensor, Sample, TensorSpec, Ternary, View } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { readIntegers } from "./integers.ts";
import { blockForEach, bucketLaunches, bucketScratch, warpForEach } from "./launch.ts";

const source = new URL("./gather_dot.c", import.meta.url);
const cudaSource = new URL("./gather_dot.cu", import.meta.url);
const name = "gatherDot";

type Three = readonly [Tensor, Tensor, Tensor];

function check(hidden: TensorSpec, weight: TensorSpec, indices: TensorSpec): void {
  const all = `hidden ${formatShape(hidden.shape)} ${hidden.dtype}, weight ${
    formatShape(weight.shape)
  } ${weight.dtype}, indices ${formatShape(indices.shape)} ${indices.dtype}`;
  const fits = [hidden, weight, indices].every((x) => x.shape.length === 2) &&
    hidden.shape[1] === weight.shape[1] && hidden.shape[0] === indices.shape[0];
  if (!fits) {
    throw new ShapeError(
      `${name}: [tokens, dim], [vocab, dim] and [tokens, choices] are needed, ${all}.`,
    );
  }
  if (hidden.dtype !== weight.dtype || indices.dtype !== "i32") {
    throw new DTypeError(`${name}: one floating type, and i32 indices are needed, ${all}. Cast.`);
  }
}

function indexError(indices: ArrayLike<number>, [, choices]: Shape, vocab: number): IndexError {
  const at = Array.from(indices).findIndex((index) => index < 0 || index >= vocab);
  return new IndexError(
    `${name}: index ${at % choices} of token ${Math.floor(at / choices)} is ${
      indices[at]
    }, the weight ` +
      `has ${vocab} rows. Use 0 to ${vocab - 1}.`,
  );
}

/** Call `visit` with the first element of the token's row, of the chosen row, and the place of the choice. */
function visitChoices(
  indices: NumberTensor,
  dim: number,
  visit: (token: number, row: number, at: number) => void,
): void {
  const [tokens, choices] = indices.shape;
  for (let at = 0; at < tokens * choices; at++) {
    visit(Math.floor(at / choices) * dim, indices.data[at] * dim, at);
  }
}

/** Tokens, dim, vocab and choices. */
const sizes: readonly (readonly number[])[] = [
  [1, 1, 1, 1],
  [5, 3, 4, 2],
  [7, 33, 20, 19],
  [40, 600, 9, 4],
  [0, 3, 4, 2],
  [3, 5, 4, 0],
];
const index = (vocab: number, uniform: number): number => Math.floor(uniform * vocab);

/** f32 [tokens, choices], weight, indices → Σ over the choices of g·weight[index]. */
const gatherDotHidden: Ternary = {
  name: "gatherDotHidden",
  outputs: ([g, weight]) => [{ shape: [g.shape[0], weight.shape[1]], dtype: weight.dtype }],
  reference: ([g, weight, indices], [dhidden]) => {
    const dim = weight.shape[1];
    dhidden.data.fill(0);
    visitChoices(indices, dim, (token, row, at) => {
      for (let i = 0; i < dim; i++) dhidden.data[token + i] += g.data[at] * weight.data[row + i];
    });
  },
  kernel: {
    source,
    entry: "gather_dot_hidden",
    cuda: { source: cudaSource, launches: ([g]) => [blockForEach(g.shape[0])] },
    dtype: ([, weight]) => weight.dtype,
    arguments: (to, inputs, [dhidden]) => {
      const [{ shape: [tokens, choices] }, { shape: [, dim] }] = inputs;
      for (const x of [dhidden, ...inputs]) to.address(addressOf(x));
      to.integer(tokens).integer(choices).integer(dim);
    },
  },
  samples: sizes.map(([tokens, dim, vocab, choices]): Sample<void, Three> => ({
    shapes: [[tokens, choices], [vocab, dim], [tokens, choices]],
    dtypes: ["f32", null, "i32"],
    params: undefined,
    draw: (input, uniform) => input === 2 ? index(vocab, uniform) : 4 * uniform - 2,
  })),
};

/** Where the gradient of the weight goes. */
interface WeightParams {
  readonly vocab: number;
  /** Add to what the output holds. */
  readonly accumulate?: boolean;
}

/** f32 [tokens, choices], hidden, indices → f32 [vocab, dim], in whose rows g·hidden is added up. */
const gatherDotWeight: Ternary<WeightParams> = {
  name: "gatherDotWeight",
  outputs: ([, hidden], { vocab }) => [{
    shape: [vocab, hidden.shape[1]],
    dtype: hidden.dtype === "f64" ? "f64" : "f32",
  }],
  reference: ([g, hidden, indices], [dweight], { accumulate }) => {
    const dim = hidden.shape[1];
    if (!accumulate) dweight.data.fill(0);
    visitChoices(indices, dim, (token, row, at) => {
      for (let i = 0; i < dim; i++) dweight.data[row + i] += g.data[at] * hidden.data[token + i];
    });
  },
  kernel: {
    source,
    entry: "gather_dot_weight",
    cuda: {
      source: cudaSource,
      launches: ([g], [{ shape: [vocab, dim] }]) =>
        bucketLaunches("gather_dot", sizeOf(g.shape), vocab, dim),
      scratch: ([g], [{ shape: [vocab] }]) => bucketScratch(sizeOf(g.shape), vocab),
    },
    dtype: ([, hidden]) => hidden.dtype,
    arguments: (to, inputs, [dweight], { vocab, accumulate }) => {
      const [{ shape: [tokens, choices] }, { shape: [, dim] }] = inputs;
      for (const x of [dweight, ...inputs]) to.address(addressOf(x));
      to.integer(tokens).integer(choices).integer(dim).integer(vocab).integer(accumulate ? 1 : 0);
    },
  },
  samples: sizes.map(([tokens, dim, vocab, choices]): Sample<WeightParams, Three> => ({
    shapes: [[tokens, choices], [tokens, dim], [tokens, choices]],
    dtypes: ["f32", null, "i32"],
    params: { vocab },
    draw: (input, uniform) => input === 2 ? index(vocab, uniform) : 4 * uniform - 2,
  })),
};

/**
 * out[t, k] = hidden[t]·weight[indices[t, k]], f32: what `linear` computes, for chosen entries of the vocabulary only.
 * hidden: [tokens, dim], weight: [vocab, dim], indices: i32 [tokens, choices] → [tokens, choices].
 *
 * Throws IndexError for an index outside the vocabulary.
 */
export const gatherDot: Ternary = {
  name,
  outputs: ([hidden, weight, indices]) => {
    check(hidden, weight, indices);
    const dtype: DType = hidden.dtype === "f64" ? "f64" : "f32";
    return [{ shape: indices.shape, dtype }];
  },
  reference: ([hidden, weight, indices], [out]) => {
    const [vocab, dim] = weight.shape;
    if (indices.data.some((index) => index < 0 || index >= vocab)) {
      throw indexError(indices.data, indices.shape, vocab);
    }
    visitChoices(indices, dim, (token, row, at) => {
      let sum = 0;
      for (let i = 0; i < dim; i++) sum += hidden.data[token + i] * weight.data[row + i];
      out.data[at] = sum;
    });
  },
  kernel: {
    source,
    entry: "gather_dot",
    cuda: { source: cudaSource, launches: (_, [out]) => [warpForEach(sizeOf(out.shape))] },
    arguments: (to, inputs, [out]) => {
      const [tokens, choices] = out.shape, [vocab, dim] = inputs[1].shape;
      for (const x of [out, ...inputs]) to.address(addressOf(x));
      to.integer(tokens).integer(choices).integer(dim).integer(vocab);
    },
    error: (_, [, weight, indices]: readonly View[]) =>
      indexError(readIntegers(indices), indices.shape, weight.shape[0]),
  },
  companions: [gatherDotHidden, gatherDotWeight],
  saves: { inputs: [0, 1, 2] },
  vjp: ([g], { inputs: [hidden, weight, indices], needs, into, apply, applyInto }) => {
    const dhidden = needs[0] ? apply(gatherDotHidden, [g, weight, indices], undefined)[0] : null;
    if (!needs[1]) return [dhidden, null, null];
    const vocab = weight.shape[0], dweight = into(1);
    if (dweight) {
      const params = { vocab, accumulate: true };
      applyInto(gatherDotWeight, [g, hidden, indices], [dweight], params);
      return [dhidden, dweight, null];
    }
    const [fresh] = apply(gatherDotWeight, [g, hidden, indices], { vocab });
    return [dhidden, fresh.to(weight.dtype), null];
  },
  samples: sizes.map(([tokens, dim, vocab, choices]): Sample<void, Three> => ({
    shapes: [[tokens, dim], [vocab, dim], [tokens, choices]],
    dtypes: [null, null, "i32"],
    params: undefined,
    draw: (input, uniform) => input === 2 ? index(vocab, uniform) : 4 * uniform - 2,
  })),
};
