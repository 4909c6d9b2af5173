/**
 * The gated unit of a transformer's feed-forward layer (Shazeer, "GLU variants improve transformer", 2020).
 *
 * @module
 */
import { isFloating } from "../dtype.ts";
import { DTypeError, ShapeError } from "../errors.ts";
import { formatShape, sameShape, type Shape, sizeOf } from "../layout.ts";
import type { Binary, Ternary, View } from "../op.ts";
import { addressOf } from "./address.ts";

const source = new URL("./swiglu.c", import.meta.url);
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
