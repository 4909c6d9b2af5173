/**
 * From a fused projection to what attention over a cache reads.
 *
 * @module
 */
import { isFloating } from "../dtype.ts";
import { DTypeError, IndexError, ShapeError } from "../errors.ts";
import { formatShape, sameShape, sizeOf } from "../layout.ts";
import type { NumberTensor, Op, Sample, View } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { readIntegers } from "./integers.ts";
import { blockForEach, overElements } from "./launch.ts";

/** How many of a projection's heads are queries. */
export interface PlaceHeadsParams {
  /** Query heads; the others are keys and as many values. */
  readonly heads: number;
}

/** The projection, the table of `ropeTable()`, position and place of each token, and the cache. */
export type PlaceHeadsInputs = readonly [
  projection: Tensor,
  table: Tensor,
  positions: Tensor,
  places: Tensor,
  keys: Tensor,
  values: Tensor,
];

/**
 * Splits the heads of new tokens into queries, keys and values, turns queries and keys as `rope` does, and puts keys and
 * values where a cache has room for them: row places[t] becomes that of token t. projection: [tokens, heads + 2 kvHeads,
 * headDim]; table: f32 [length, pairs, 2]; positions and places: i32 [tokens]; keys and values: [places, kvHeads, headDim].
 * Outputs q, [tokens, heads, headDim], keys and values; the latter may be the inputs themselves.
 */
export const placeHeads: Op<PlaceHeadsParams, PlaceHeadsInputs> = {
  name: "placeHeads",
  outputs: (inputs, { heads }) => {
    check(inputs, heads);
    const [projection, , , , keys] = inputs, [tokens, , headDim] = projection.shape;
    const { dtype } = projection, cache = { shape: keys.shape, dtype };
    return [{ shape: [tokens, heads, headDim], dtype }, cache, cache];
  },
  reference: (
    [projection, table, positions, places, oldKeys, oldValues],
    [q, keys, values],
    { heads },
  ) => {
    const [tokens, all, headDim] = projection.shape, kvHeads = keys.shape[1];
    const row = (x: NumberTensor, token: number, head: number): NumberTensor["data"] => {
      const start = (token * x.shape[1] + head) * headDim;
      return x.data.subarray(start, start + headDim);
    };
    keys.data.set(oldKeys.data);
    values.data.set(oldValues.data);
    for (let token = 0; token < tokens; token++) {
      const position = positions.data[token], place = places.data[token];
      if (!isInside(position, table) || !isInside(place, keys)) {
        throw outside(position, place, table, keys);
      }
      for (let head = 0; head < all; head++) {
        const from = row(projection, token, head);
        if (head < heads) turn(from, table, position, row(q, token, head));
        else if (head < heads + kvHeads) {
          turn(from, table, position, row(keys, place, head - heads));
        } else row(values, place, head - heads - kvHeads).set(from);
      }
    }
  },
  kernel: {
    source: new URL("./place_heads.c", import.meta.url),
    entry: "place_heads",
    cuda: {
      source: new URL("./place_heads.cu", import.meta.url),
      launches: ([projection, , , , ...before], [, ...after]) => {
        const place = blockForEach(projection.shape[0]);
        if (before.every((cache, i) => addressOf(cache) === addressOf(after[i]))) return [place];
        return [{ ...overElements(sizeOf(after[0].shape)), entry: "place_heads_copy" }, place];
      },
    },
    arguments: (to, inputs, [q, keys, values], { heads }) => {
      const [projection, table, , , oldKeys] = inputs, [tokens, , headDim] = projection.shape;
      to.address(addressOf(q)).address(addressOf(keys)).address(addressOf(values));
      for (const x of inputs) to.address(addressOf(x));
      to.integer(tokens).integer(heads).integer(oldKeys.shape[1]).integer(headDim);
      to.integer(table.shape[0]).integer(table.shape[1]).integer(oldKeys.shape[0]);
    },
    error: (_, [, table, positions, places, keys]) => {
      const at = readIntegers(places), positionAt = readIntegers(positions);
      const odd = at.findIndex((place, token) =>
        !isInside(place, keys) || !isInside(positionAt[token], table)
      );
      return outside(positionAt[odd], at[odd], table, keys);
    },
  },
  samples: samplesOf(),
};

/** Turns pair i of a head, elements i and pairs + i; the rest passes through. */
function turn(
  from: NumberTensor["data"],
  table: NumberTensor,
  position: number,
  to: NumberTensor["data"],
): void {
  const pairs = table.shape[1];
  to.set(from);
  for (let i = 0; i < pairs; i++) {
    const at = (position * pairs + i) * 2, cosine = table.data[at], sine = table.data[at + 1];
    const a = from[i], b = from[pairs + i];
    to[i] = a * cosine - b * sine;
    to[pairs + i] = a * sine + b * cosine;
  }
}

const isInside = (index: number, { shape }: { readonly shape: readonly number[] }): boolean =>
  index >= 0 && index < shape[0];

function check(
  [projection, table, positions, places, keys, values]: readonly View[],
  heads: number,
): void {
  const [tokens, all, headDim] = projection.shape, [, kvHeads, keyDim] = keys.shape;
  const fits = projection.shape.length === 3 && keys.shape.length === 3 && headDim === keyDim &&
    all === heads + 2 * kvHeads && sameShape(keys.shape, values.shape);
  if (!fits) {
    throw new ShapeError(
      `placeHeads: the projection does not fit the cache, ${formatShape(projection.shape)} and ${
        formatShape(keys.shape)
      } (${all} vs ${heads} + 2·${kvHeads} heads). Project to queries, keys and values.`,
    );
  }
  const [, pairs, two] = table.shape;
  if (table.shape.length !== 3 || two !== 2 || 2 * pairs > headDim) {
    throw new ShapeError(
      `placeHeads: the table does not fit the heads, ${formatShape(table.shape)} (${
        2 * pairs
      } vs ${headDim}). Make it with ropeTable() for this headDim.`,
    );
  }
  const odd = [positions, places].find((x) => !sameShape(x.shape, [tokens]));
  if (odd) {
    throw new ShapeError(
      `placeHeads: each token needs a position and a place, ${formatShape(odd.shape)} (${
        odd.shape[0]
      } vs ${tokens}). Pass [tokens].`,
    );
  }
  const types = [projection, keys, values].map(({ dtype }) => dtype);
  const integers = positions.dtype === "i32" && places.dtype === "i32";
  if (!isFloating(types[0]) || types.some((type) => type !== types[0]) || !integers) {
    throw new DTypeError(
      `placeHeads: the projection is ${types[0]}, keys ${types[1]}, values ${types[2]}. ` +
        `Pass one floating type, and i32 positions and places.`,
    );
  }
}

function outside(
  position: number,
  place: number,
  table: View | NumberTensor,
  keys: View | NumberTensor,
): IndexError {
  return new IndexError(
    `placeHeads: position ${position} or place ${place} is not there (${
      table.shape[0]
    } positions, ${keys.shape[0]} places). Make table and cache larger.`,
  );
}

function samplesOf(): Sample<PlaceHeadsParams, PlaceHeadsInputs>[] {
  // tokens, heads, kvHeads, headDim, pairs, places
  const sizes = [
    [1, 1, 1, 2, 1, 1],
    [5, 4, 2, 10, 3, 9],
    [3, 2, 2, 70, 35, 20],
    [40, 3, 1, 64, 32, 48],
    [2, 2, 1, 6, 0, 4],
    [0, 2, 1, 4, 2, 3],
  ];
  return sizes.map(([tokens, heads, kvHeads, headDim, pairs, places]) => ({
    shapes: [
      [tokens, heads + 2 * kvHeads, headDim],
      [7, pairs, 2],
      [tokens],
      [tokens],
      [places, kvHeads, headDim],
      [places, kvHeads, headDim],
    ],
    params: { heads },
    dtypes: [null, "f32", "i32", "i32", null, null],
    draw: (input, uniform, index) => {
      if (input === 2) return Math.floor(7 * uniform);
      return input === 3 ? places - 1 - index : 4 * uniform - 2;
    },
  }));
}
