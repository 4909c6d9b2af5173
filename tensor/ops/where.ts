/**
 * A choice between two tensors, element by element.
 *
 * @module
 */
import { bytesOf } from "../dtype.ts";
import { DTypeError } from "../errors.ts";
import {
  broadcastShapes,
  broadcastStrides,
  collapse,
  contiguousStrides,
  sizeOf,
} from "../layout.ts";
import type { NumberTensor, Ternary } from "../op.ts";
import { addressOf } from "./address.ts";
import { overElements } from "./launch.ts";

/** The elements of `x`, repeated to fill `shape`. */
function broadcast({ data, shape: from }: NumberTensor, shape: readonly number[]): number[] {
  const layout = { shape: from, strides: contiguousStrides(from), offset: 0 };
  const strides = broadcastStrides(layout, shape);
  let places = [0];
  shape.forEach((size, axis) => {
    places = places.flatMap((at) => Array.from({ length: size }, (_, i) => at + i * strides[axis]));
  });
  return places.map((at) => data[at]);
}

/** x where the mask (u8) is not zero, y where it is; all three broadcast. */
export const where: Ternary = {
  name: "where",
  outputs: ([mask, x, y]) => {
    if (mask.dtype !== "u8") {
      throw new DTypeError(
        `where: the mask is ${mask.dtype}. Compare to get a u8 mask: mask.notEqual(0).`,
      );
    }
    if (x.dtype !== y.dtype) {
      throw new DTypeError(
        `where: ${x.dtype} and ${y.dtype} do not mix. Cast one: y.to("${x.dtype}").`,
      );
    }
    const choices = broadcastShapes("where", x.shape, y.shape);
    return [{ shape: broadcastShapes("where", mask.shape, choices), dtype: x.dtype }];
  },
  reference: (inputs, [out]) => {
    const [mask, x, y] = inputs.map((input) => broadcast(input, out.shape));
    mask.forEach((chosen, i) => out.data[i] = chosen ? x[i] : y[i]);
  },
  kernel: {
    source: new URL("./where.c", import.meta.url),
    entry: "where",
    cuda: {
      source: new URL("./where.cu", import.meta.url),
      launches: (_, [out]) => [overElements(sizeOf(out.shape), 1)],
    },
    strided: true,
    // One kernel for all types: it is told their size.
    dtype: ([, x]) => x.dtype === "f64" ? "f64" : "f32",
    arguments: (to, inputs, [out]) => {
      to.address(addressOf(out));
      for (const input of inputs) to.address(addressOf(input));
      const merged = collapse(out.shape, inputs.map((x) => broadcastStrides(x, out.shape)));
      to.integer(bytesOf(out.dtype)).integer(merged.shape.length);
      for (const values of [merged.shape, ...merged.strides]) {
        for (const value of values) to.integer(value);
      }
    },
  },
  saves: { inputs: [0] },
  vjp: ([g], { inputs: [mask], needs }) => [
    null,
    needs[1] ? mask.where(g, 0) : null,
    needs[2] ? mask.where(0, g) : null,
  ],
  samples: [
    [[5], [5], [5]],
    [[2, 3], [2, 3], []],
    [[33, 70], [70], [33, 1]],
    [[3, 1, 4], [2, 1], [1]],
    [[1, 20000], [3, 20000], []],
    [[], [], []],
    [[0, 3], [3], []],
  ].map(([mask, x, y]) => ({
    shapes: [mask, x, y],
    params: undefined,
    dtypes: ["u8", null, null],
    draw: (input, uniform) => input === 0 ? Math.round(uniform) : uniform * 4 - 2,
  })),
};
