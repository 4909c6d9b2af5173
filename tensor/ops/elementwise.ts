/**
 * The pointwise ops.
 *
 * @module
 */
import type { Unary } from "../op.ts";
import { compare, map, type NumberParams, type Pointwise, zip } from "./pointwise.ts";

type Map = Unary<NumberParams>;

const positive = (uniform: number): number => 0.1 + 3 * uniform;
const awayFromZero = (uniform: number): number =>
  uniform < 0.5 ? -2 + 3.8 * uniform : 3.8 * uniform - 1.8;

/** x + y. */
export const add: Pointwise = zip("add", { js: (x, y) => x + y, c: "x + y", vjp: (g) => [g, g] });

/** x − y. */
export const sub: Pointwise = zip("sub", {
  js: (x, y) => x - y,
  c: "x - y",
  vjp: (g, _x, _y, needs) => [g, needs[1] ? g.neg() : null],
});

/** x · y. */
export const mul: Pointwise = zip("mul", {
  js: (x, y) => x * y,
  c: "x * y",
  vjp: (g, x, y, needs) => [needs[0] ? g.mul(y) : null, needs[1] ? g.mul(x) : null],
  saves: [0, 1],
  bilinear: true,
});

/** x / y. */
export const div: Pointwise = zip("div", {
  js: (x, y) => x / y,
  c: "x / y",
  floating: true,
  draw: (input, uniform) => input === 1 ? awayFromZero(uniform) : 4 * uniform - 2,
  vjp: (g, x, y, needs) => [
    needs[0] ? g.div(y) : null,
    needs[1] && typeof y !== "number" ? g.mul(x).div(y.mul(y)).neg() : null,
  ],
  saves: [0, 1],
});

/** The larger of x and y; NaN if either is. Where they are equal each gets half of the gradient. */
export const maximum: Pointwise = zip("maximum", {
  js: Math.max,
  c: "x > y || x != x ? x : y",
  vjp: (g, x, y, needs) => {
    const share = x.greater(y).to(g.dtype).add(x.equal(y).to(g.dtype).mul(0.5));
    return [g.mul(share), needs[1] ? g.mul(share.neg().add(1)) : null];
  },
  saves: [0, 1],
});

/** The smaller of x and y; NaN if either is. Where they are equal each gets half of the gradient. */
export const minimum: Pointwise = zip("minimum", {
  js: Math.min,
  c: "x < y || x != x ? x : y",
  vjp: (g, x, y, needs) => {
    const share = x.less(y).to(g.dtype).add(x.equal(y).to(g.dtype).mul(0.5));
    return [g.mul(share), needs[1] ? g.mul(share.neg().add(1)) : null];
  },
  saves: [0, 1],
});

/** x to the power of y. */
export const pow: Pointwise = zip("pow", {
  // As C has it, and not as JavaScript: 1 to any power is 1, and so is -1 to an infinite one.
  js: (x, y) => x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : x ** y,
  c: "powf(x, y)",
  floating: true,
  draw: (input, uniform) => input === 0 ? positive(uniform) : 4 * uniform - 2,
  vjp: (g, x, y, needs) => [
    needs[0] ? g.mul(x.pow(typeof y === "number" ? y - 1 : y.sub(1)).mul(y)) : null,
    needs[1] ? g.mul(x.pow(y)).mul(x.log()) : null,
  ],
  saves: [0, 1],
});

/** x = y. */
export const equal: Pointwise = compare("equal", (x, y) => x === y, "x == y");
/** x ≠ y. */
export const notEqual: Pointwise = compare("notEqual", (x, y) => x !== y, "x != y");
/** x < y. */
export const less: Pointwise = compare("less", (x, y) => x < y, "x < y");
/** x ≤ y. */
export const lessEqual: Pointwise = compare("lessEqual", (x, y) => x <= y, "x <= y");
/** x > y. */
export const greater: Pointwise = compare("greater", (x, y) => x > y, "x > y");
/** x ≥ y. */
export const greaterEqual: Pointwise = compare("greaterEqual", (x, y) => x >= y, "x >= y");

/** −x. */
export const neg: Map = map("neg", {
  js: (x) => -x,
  c: "-x",
  derivative: { from: "none", js: (_, g) => -g, c: "-y" },
});

/** |x|; its derivative at 0 is 0. */
export const abs: Map = map("abs", {
  js: Math.abs,
  draw: awayFromZero,
  c: "__builtin_fabsf(x)",
  derivative: {
    from: "input",
    js: (x, g) => x > 0 ? g : x < 0 ? -g : 0,
    c: "x > 0 ? y : (x < 0 ? -y : 0)",
  },
});

/** eˣ. */
export const exp: Map = map("exp", {
  js: Math.exp,
  c: "exp_f32(x)",
  derivative: { from: "output", js: (y, g) => g * y, c: "y * x" },
});

/** ln x. */
export const log: Map = map("log", {
  js: Math.log,
  c: "log_f32(x)",
  draw: positive,
  derivative: { from: "input", js: (x, g) => g / x, c: "y / x" },
});

/** √x. */
export const sqrt: Map = map("sqrt", {
  js: Math.sqrt,
  c: "__builtin_sqrtf(x)",
  draw: positive,
  derivative: { from: "output", js: (y, g) => g / (2 * y), c: "y / (2 * x)" },
});

/** 1 / √x. */
export const rsqrt: Map = map("rsqrt", {
  js: (x) => 1 / Math.sqrt(x),
  c: "1 / __builtin_sqrtf(x)",
  draw: positive,
  derivative: { from: "output", js: (y, g) => -0.5 * g * y * y * y, c: "-0.5f * y * x * x * x" },
});

/** 1 / x. */
export const reciprocal: Map = map("reciprocal", {
  js: (x) => 1 / x,
  c: "1 / x",
  draw: awayFromZero,
  derivative: { from: "output", js: (y, g) => -g * y * y, c: "-y * x * x" },
});

/** sin x. */
export const sin: Map = map("sin", {
  js: Math.sin,
  c: "sinf(x)",
  derivative: { from: "input", js: (x, g) => g * Math.cos(x), c: "y * cosf(x)" },
});

/** cos x. */
export const cos: Map = map("cos", {
  js: Math.cos,
  c: "cosf(x)",
  derivative: { from: "input", js: (x, g) => -g * Math.sin(x), c: "-y * sinf(x)" },
});

/** tanh x. */
export const tanh: Map = map("tanh", {
  js: Math.tanh,
  c: "tanh_f32(x)",
  derivative: { from: "output", js: (y, g) => g * (1 - y * y), c: "y * (1 - x * x)" },
});

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

/** 1 / (1 + e⁻ˣ). */
export const sigmoid: Map = map("sigmoid", {
  js: logistic,
  c: "sigmoid_f32(x)",
  derivative: { from: "output", js: (y, g) => g * y * (1 - y), c: "y * x * (1 - x)" },
});

/** x · sigmoid(x). */
export const silu: Map = map("silu", {
  js: (x) => x * logistic(x),
  c: "x * sigmoid_f32(x)",
  derivative: {
    from: "input",
    js: (x, g) => g * logistic(x) * (1 + x * (1 - logistic(x))),
    c: "y * sigmoid_f32(x) * (1 + x * (1 - sigmoid_f32(x)))",
  },
});

const rootTwoOverPi = Math.sqrt(2 / Math.PI);
const geluInner = (x: number): number => Math.tanh(rootTwoOverPi * (x + 0.044715 * x ** 3));

/** x·Φ(x) by the tanh approximation of Hendrycks and Gimpel, arXiv 1606.08415. */
export const gelu: Map = map("gelu", {
  js: (x) => 0.5 * x * (1 + geluInner(x)),
  c: "0.5f * x * (1 + tanh_f32(0.7978845608f * (x + 0.044715f * x * x * x)))",
  derivative: {
    from: "input",
    js: (x, g) => {
      const t = geluInner(x);
      return g * 0.5 * (1 + t + x * (1 - t * t) * rootTwoOverPi * (1 + 0.134145 * x * x));
    },
    c: "gelu_backward_f32(x, y)",
  },
});

/** max(x, 0). */
export const relu: Map = map("relu", {
  js: (x) => x > 0 || x !== x ? x : 0,
  draw: awayFromZero,
  c: "x > 0 || x != x ? x : 0",
  derivative: { from: "output", js: (y, g) => y > 0 ? g : 0, c: "x > 0 ? y : 0" },
});

/** max(x, 0)², the activation of Nemotron-4 (So et al., arXiv 2109.08668). */
export const relu2: Map = map("relu2", {
  js: (x) => x > 0 || x !== x ? x * x : 0,
  c: "x > 0 || x != x ? x * x : 0",
  derivative: { from: "input", js: (x, g) => x > 0 ? 2 * x * g : 0, c: "x > 0 ? 2 * x * y : 0" },
});
