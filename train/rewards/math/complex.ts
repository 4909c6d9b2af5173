/**
 * Complex arithmetic on principal branches.
 *
 * @module
 */

/** re + im·i */
export interface Complex {
  readonly re: number;
  readonly im: number;
}

/** A real number as a complex one. */
export function real(re: number): Complex {
  return { re, im: 0 };
}

/** a + b */
export function add(a: Complex, b: Complex): Complex {
  return { re: a.re + b.re, im: a.im + b.im };
}

/** a · b */
export function multiply(a: Complex, b: Complex): Complex {
  if (a.im === 0 && b.im === 0) return real(a.re * b.re);
  return { re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re };
}

/** a / b */
export function divide(a: Complex, b: Complex): Complex {
  if (a.im === 0 && b.im === 0) return real(a.re / b.re);
  const square = b.re * b.re + b.im * b.im;
  const product = multiply(a, { re: b.re, im: -b.im });
  return { re: product.re / square, im: product.im / square };
}

/** −a */
export function negate(a: Complex): Complex {
  return { re: -a.re, im: a.im === 0 ? 0 : -a.im };
}

/** |a| */
export function magnitude(a: Complex): number {
  return Math.hypot(a.re, a.im);
}

/** eᵃ */
export function exp(a: Complex): Complex {
  const scale = Math.exp(a.re);
  return a.im === 0 ? real(scale) : { re: scale * Math.cos(a.im), im: scale * Math.sin(a.im) };
}

/** The natural logarithm whose imaginary part is in (−π, π]. */
export function log(a: Complex): Complex {
  if (a.im === 0 && a.re > 0) return real(Math.log(a.re));
  return { re: Math.log(magnitude(a)), im: Math.atan2(a.im, a.re) };
}

/** aᵇ */
export function power(a: Complex, b: Complex): Complex {
  if (a.im === 0 && b.im === 0 && (a.re >= 0 || Number.isInteger(b.re))) return real(a.re ** b.re);
  if (a.re === 0 && a.im === 0) return real(b.re > 0 ? 0 : NaN);
  return exp(multiply(b, log(a)));
}

/** √a with a real part that is not negative. */
export function sqrt(a: Complex): Complex {
  if (a.im === 0) return a.re >= 0 ? real(Math.sqrt(a.re)) : { re: 0, im: Math.sqrt(-a.re) };
  return power(a, real(0.5));
}

/** sin a */
export function sin(a: Complex): Complex {
  return {
    re: Math.sin(a.re) * Math.cosh(a.im),
    im: a.im === 0 ? 0 : Math.cos(a.re) * Math.sinh(a.im),
  };
}

/** cos a */
export function cos(a: Complex): Complex {
  return {
    re: Math.cos(a.re) * Math.cosh(a.im),
    im: a.im === 0 ? 0 : -Math.sin(a.re) * Math.sinh(a.im),
  };
}
