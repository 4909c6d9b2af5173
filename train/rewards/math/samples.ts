/**
 * Equality of formulas by their values at a few points.
 *
 * @module
 */
import { type Complex, magnitude, real } from "./complex.ts";
import { evaluate, exactValue } from "./evaluate.ts";
import { call, type MathExpression, mentions, variablesOf } from "./expression.ts";

/** Relative difference of values that are the same but for rounding. */
const rounding = 1e-9;

/** A decimal number may stand for one that it differs from by less than this, where the other has no decimal end. */
const decimalPrecision = 1e-6;

/** Points at which formulas with variables are compared; the last have whole numbers; and how many must have values. */
const points = 16, wholePoints = 4, pointsNeeded = 3;

/**
 * The value of a variable at a point: positive at the even ones, of either sign at the odd ones, a positive whole number at
 * the last. It depends on the name and the point alone, so that the same text always has the same values.
 */
export function sampleOf(name: string, point: number): Complex {
  let hash = 2166136261 ^ (point * 0x9e3779b9);
  for (const letter of name) hash = Math.imul(hash ^ letter.codePointAt(0)!, 16777619);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
  const uniform = ((hash ^ (hash >>> 15)) >>> 0) / 2 ** 32;
  const whole = point - (points - wholePoints);
  if (whole >= 0) return real(2 * whole + (uniform < 0.5 ? 1 : 2));
  const value = 0.3 + 2.4 * uniform;
  return real(point % 2 === 1 && uniform > 0.4 ? -value : value);
}

/** Whether two formulas without relations have the same value, for all values of their variables. */
export function sameValue(a: MathExpression, b: MathExpression): boolean {
  const [exactA, exactB] = [exactValue(a), exactValue(b)];
  const [writtenA, writtenB] = [isLiteral(a), isLiteral(b)];
  if (exactA && exactB) {
    if (exactA.equals(exactB)) return true;
    const rounded = (hasDecimals(a) || hasDecimals(b)) && !(writtenA && writtenB);
    return rounded && close(real(exactA.toNumber()), real(exactB.toNumber()), decimalPrecision);
  }
  const names = new Set([...variablesOf(a), ...variablesOf(b)]);
  const precision = hasDecimals(a) !== hasDecimals(b) ? decimalPrecision : rounding;
  if (names.size === 0) return close(valueAt(a, 0), valueAt(b, 0), precision);
  return agreeAtPoints(a, b, (x, y) => close(x, y, precision));
}

/** Whether a formula is some number other than 0 times another, the same for all values: of that sign where one is given. */
export function sameUpToFactor(a: MathExpression, b: MathExpression, sign: 1 | -1 | 0): boolean {
  let factor: Complex | null = null;
  return agreeAtPoints(a, b, (x, y) => {
    if (magnitude(x) < rounding || magnitude(y) < rounding) {
      return magnitude(x) + magnitude(y) < rounding;
    }
    const ratio = evaluate(
      call("divide", literal("x"), literal("y")),
      (name) => name === "x" ? x : y,
    );
    factor ??= ratio;
    return close(ratio, factor, rounding) &&
      (sign === 0 || (ratio.im === 0 && Math.sign(ratio.re) === sign));
  });
}

function literal(name: string): MathExpression {
  return { kind: "symbol", name };
}

/** Where neither side has a real value the point says nothing: branches of logarithms and roots differ there. */
function agreeAtPoints(
  a: MathExpression,
  b: MathExpression,
  agree: (x: Complex, y: Complex) => boolean,
): boolean {
  const isComplex = mentions(a, "i") || mentions(b, "i");
  let compared = 0;
  for (let point = 0; point < points; point++) {
    const [x, y] = [valueAt(a, point), valueAt(b, point)];
    if (!isFinite(x) || !isFinite(y)) continue;
    if (!isComplex && (x.im !== 0 || y.im !== 0)) continue;
    if (!agree(x, y)) return false;
    compared++;
  }
  return compared >= pointsNeeded;
}

function valueAt(expression: MathExpression, point: number): Complex {
  return evaluate(expression, (name) => sampleOf(name, point));
}

function isFinite({ re, im }: Complex): boolean {
  return Number.isFinite(re) && Number.isFinite(im);
}

function close(x: Complex, y: Complex, precision: number): boolean {
  if (!isFinite(x) || !isFinite(y)) return x.re === y.re && Math.abs(x.re) === Infinity;
  const size = Math.max(magnitude(x), magnitude(y));
  // Decimals have an absolute error; it must also be small against the number.
  const tolerance = precision === decimalPrecision
    ? Math.max(Math.min(precision, 1e-4 * size), rounding * size)
    : precision * Math.max(size, 1e-12);
  return magnitude({ re: x.re - y.re, im: x.im - y.im }) <= tolerance;
}

/** A number as it is written, with a sign or percent at most. */
function isLiteral(expression: MathExpression): boolean {
  if (expression.kind === "number") return true;
  const isSigned = expression.kind === "call" &&
    (expression.name === "negate" || expression.name === "percent");
  return isSigned && isLiteral(expression.arguments[0]);
}

function hasDecimals(expression: MathExpression): boolean {
  if (expression.kind === "number") return expression.decimal;
  return expression.kind === "call" && expression.arguments.some(hasDecimals);
}
