/**
 * Values of expressions: exactly where they are fractions, else in floating point.
 *
 * @module
 */
import * as complex from "./complex.ts";
import { type Complex, real } from "./complex.ts";
import type { MathExpression } from "./expression.ts";
import { Rational } from "./rational.ts";

/** Factorials of more are left to floating point. */
const largestFactorial = 200;

/** The value of an expression that is a fraction; null where it is none, or none that is found exactly. */
export function exactValue(expression: MathExpression): Rational | null {
  if (expression.kind === "number") return expression.value;
  if (expression.kind !== "call") return null;
  const values: Rational[] = [];
  for (const argument of expression.arguments) {
    const value = exactValue(argument);
    if (value === null) return null;
    values.push(value);
  }
  const result = exactCall(expression.name, values);
  return result?.isLong ? null : result;
}

function exactCall(name: string, [a, b]: readonly Rational[]): Rational | null {
  switch (name) {
    case "add":
      return a.plus(b);
    case "multiply":
      return a.times(b);
    case "divide":
      return b.numerator === 0n ? null : a.times(b.invert());
    case "negate":
      return a.negate();
    case "percent":
      return a.times(Rational.of(1n, 100n));
    case "power":
      return b.isInteger ? a.power(b.numerator) : null;
    case "abs":
      return a.numerator < 0n ? a.negate() : a;
    case "factorial":
      return factorial(a);
    default:
      return null;
  }
}

function factorial(value: Rational): Rational | null {
  if (!value.isInteger || value.numerator < 0n || value.numerator > largestFactorial) return null;
  let product = 1n;
  for (let factor = 2n; factor <= value.numerator; factor++) product *= factor;
  return Rational.of(product);
}

/** The value of an expression where variables have the values that `variable` tells; NaN where it has none. */
export function evaluate(
  expression: MathExpression,
  variable: (name: string) => Complex,
): Complex {
  switch (expression.kind) {
    case "number":
      return real(expression.value.toNumber());
    case "symbol":
      return constantValues[expression.name] ?? variable(expression.name);
    case "call": {
      const values = expression.arguments.map((argument) => evaluate(argument, variable));
      const compute = calls[expression.name];
      return compute ? compute(...values) : unknownFunction(expression.name, values);
    }
    default:
      return real(NaN);
  }
}

const constantValues: Readonly<Record<string, Complex>> = {
  pi: real(Math.PI),
  e: real(Math.E),
  i: { re: 0, im: 1 },
  infinity: real(Infinity),
};

/** A real function of real numbers, NaN for others. */
function realOnly(compute: (...values: number[]) => number): (...values: Complex[]) => Complex {
  return (...values) => {
    const isReal = values.every(({ im }) => im === 0);
    return real(isReal ? compute(...values.map(({ re }) => re)) : NaN);
  };
}

function wholeBinomial(n: number, k: number): number {
  if (!Number.isInteger(k) || k < 0 || k > 1000) return NaN;
  let product = 1;
  for (let i = 1; i <= k; i++) product *= (n - k + i) / i;
  return product;
}

function greatestDivisor(...values: readonly number[]): number {
  if (!values.every((value) => Number.isSafeInteger(value))) return NaN;
  return values.reduce((a, b) => {
    while (b !== 0) [a, b] = [b, a % b];
    return Math.abs(a);
  });
}

const quotient = (a: Complex, b: Complex): Complex =>
  b.re === 0 && b.im === 0 ? real(NaN) : complex.divide(a, b);
const tangent = (x: Complex): Complex => quotient(complex.sin(x), complex.cos(x));
const one = real(1);

const calls: Readonly<Record<string, (...values: Complex[]) => Complex>> = {
  add: complex.add,
  multiply: complex.multiply,
  divide: quotient,
  negate: complex.negate,
  power: complex.power,
  percent: (x) => complex.multiply(x, real(0.01)),
  sqrt: complex.sqrt,
  // The real root of a negative number where there is one.
  root: (x, n) =>
    x.im === 0 && x.re < 0 && n.im === 0 && Math.abs(n.re % 2) === 1
      ? real(-((-x.re) ** (1 / n.re)))
      : complex.power(x, quotient(one, n)),
  exp: complex.exp,
  ln: complex.log,
  // In mathematics log is the natural one unless a base stands there; sources differ, so 10 is not assumed.
  log: (x, base) => base ? quotient(complex.log(x), complex.log(base)) : complex.log(x),
  lg: (x) => quotient(complex.log(x), real(Math.LN10)),
  abs: (x) => real(complex.magnitude(x)),
  sin: complex.sin,
  cos: complex.cos,
  tan: tangent,
  cot: (x) => quotient(one, tangent(x)),
  sec: (x) => quotient(one, complex.cos(x)),
  csc: (x) => quotient(one, complex.sin(x)),
  arcsin: realOnly(Math.asin),
  arccos: realOnly(Math.acos),
  arctan: realOnly(Math.atan),
  sinh: realOnly(Math.sinh),
  cosh: realOnly(Math.cosh),
  tanh: realOnly(Math.tanh),
  floor: realOnly(Math.floor),
  ceiling: realOnly(Math.ceil),
  max: realOnly(Math.max),
  min: realOnly(Math.min),
  gcd: realOnly(greatestDivisor),
  lcm: realOnly((...values) =>
    values.reduce((a, b) => a === 0 ? 0 : Math.abs(a * b) / greatestDivisor(a, b))
  ),
  factorial: realOnly((n) => wholeFactorial(n)),
  binomial: realOnly(wholeBinomial),
};

function wholeFactorial(n: number): number {
  if (!Number.isInteger(n) || n < 0 || n > 170) return NaN;
  let product = 1;
  for (let factor = 2; factor <= n; factor++) product *= factor;
  return product;
}

/** Some smooth function for each name: f(2) equals f(1 + 1), and nothing else. */
function unknownFunction(name: string, values: readonly Complex[]): Complex {
  let phase = values.length;
  for (const letter of name) phase = (phase * 31 + letter.codePointAt(0)!) % 1009;
  const angle = values.reduce((sum, { re, im }, k) => sum + (re + 0.7 * im) * (k + 1.37), phase);
  return real(2 + Math.sin(angle) + Math.sin(angle * 0.618));
}
