/**
 * The gated unit of a transformer's feed-forward layer (Shazeer, "GLU variants improve transformer", 2020).
 *
 * @module
 */
import { isFloating } from "../dtype.ts";
import { DTypeError, ShapeError } from "../errors.ts";
import { formatShape, sameShape, type Shape, sizeOf } from "../layout.ts";
import type { Binary, Ternary, Unary, View } from "../op.ts";
import { addressOf } from "./address.ts";
import { overElements, overRows } from "./launch.ts";

const source = new URL("./swiglu.c", import.meta.url);
const cudaSource = new URL("./swiglu.cu", import.meta.url);
const shapes: readonly Shape[] = [[5], [1], [], [2, 3, 33], [7, 9000], [0, 3]];

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** Gradients of gate and up from that of the output, in one pass; silu is computed again. */
const swigluBackward: Ternary<void> = {
  name: "swigluBackward",
  outputs: ([, { shape, dtype }]) => [{ shape, dtype }, { shape, dtype }],
  reference: ([g, gate, up], [dgate, dup]) => {
    for (let i = 0; i < g.data.length; i++) {
      const x = gate.data[i], s = sigmoid(x);
      dgate.data[i] = g.data[i] * up.data[i] * s * (1 + x * (1 - s));
      dup.data[i] = g.data[i] * x * s;
    }
  },
  kernel: {
    source,
    entry: "swiglu_backward",
    cuda: { source: cudaSource, launches: ([g]) => [overElements(sizeOf(g.shape), 8)] },
    arguments: (to, [g, gate, up], [dgate, dup]) => {
      to.address(addressOf(dgate)).address(addressOf(dup));
      to.address(addressOf(g)).address(addressOf(gate)).address(addressOf(up));
      to.integer(sizeOf(gate.shape));
    },
  },
  samples: shapes.map((shape) => ({ shapes: [shape, shape, shape], params: undefined })),
};

/** silu(gate)·up, element by element; silu(x) = x / (1 + e⁻ˣ). */
export const swiglu: Binary<void> = {
  name: "swiglu",
  outputs: ([gate, up]) => {
    checkHalves(gate, up);
    return [{ shape: gate.shape, dtype: gate.dtype }];
  },
  reference: ([gate, up], [out]) => {
    for (let i = 0; i < out.data.length; i++) {
      out.data[i] = gate.data[i] * sigmoid(gate.data[i]) * up.data[i];
    }
  },
  kernel: {
    source,
    entry: "swiglu",
    cuda: { source: cudaSource, launches: ([gate]) => [overElements(sizeOf(gate.shape), 8)] },
    arguments: (to, [gate, up], [out]) => {
      to.address(addressOf(out)).address(addressOf(gate)).address(addressOf(up));
      to.integer(sizeOf(gate.shape));
    },
  },
  saves: { inputs: [0, 1] },
  companions: [swigluBackward],
  vjp: ([g], { inputs: [gate, up], apply }) => {
    const [dgate, dup] = apply(swigluBackward, [g, gate, up], undefined);
    return [dgate, dup];
  },
  samples: shapes.map((shape) => ({ shapes: [shape, shape], params: undefined })),
};

/** The same with gate and up as the halves of the last axis, as one product makes them: [..., 2·width] → [..., width]. */
export const swigluHalves: Unary<void> = {
  name: "swigluHalves",
  outputs: ([{ shape, dtype }]) => {
    const last = shape.at(-1) ?? 1;
    if (last % 2 !== 0 || !isFloating(dtype)) {
      throw new ShapeError(
        `swigluHalves: the last axis has no two halves, ${
          formatShape(shape)
        } ${dtype} (${last}). Project to gate and up.`,
      );
    }
    return [{ shape: shape.with(-1, last / 2), dtype }];
  },
  reference: ([x], [out]) => {
    const width = out.shape.at(-1)!;
    for (let i = 0; i < out.data.length; i++) {
      const row = Math.floor(i / width), at = row * width + i; // 2·width·row + i % width
      out.data[i] = x.data[at] * sigmoid(x.data[at]) * x.data[at + width];
    }
  },
  kernel: {
    source,
    entry: "swiglu_halves",
    cuda: {
      source: cudaSource,
      launches: (_, [out]) => [overRows(sizeOf(out.shape.slice(0, -1)), out.shape.at(-1)!)],
    },
    arguments: (to, [x], [out]) => {
      const width = out.shape.at(-1)!;
      to.address(addressOf(out)).address(addressOf(x));
      to.integer(width > 0 ? sizeOf(out.shape) / width : 0).integer(width);
    },
  },
  samples: [[2], [3, 10], [2, 3, 66], [5, 18000], [0, 4]].map((shape) => ({
    shapes: [shape],
    params: undefined,
  })),
};

function checkHalves(gate: View, up: View): void {
  if (!sameShape(gate.shape, up.shape)) {
    throw new ShapeError(
      `swiglu: gate and up differ in shape, ${formatShape(gate.shape)} and ${
        formatShape(up.shape)
      } (${sizeOf(gate.shape)} vs ${sizeOf(up.shape)} elements). Project to the same width.`,
    );
  }
  if (gate.dtype !== up.dtype || !isFloating(gate.dtype)) {
    throw new DTypeError(
      `swiglu: gate is ${gate.dtype}, up ${up.dtype}. Pass both as f32 or both as bf16.`,
    );
  }
}
