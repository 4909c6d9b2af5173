import assert from "node:assert/strict";
import fc from "fast-check";
import {
  bf16ToNumber,
  bytesOf,
  decode,
  type DType,
  dtypes,
  e4m3ToNumber,
  encode,
  numberToBf16,
  numberToE4m3,
  Tensor,
} from "../../tensor/mod.ts";
import { tensorTest } from "../support.ts";

/** The codes of all numbers of a format in increasing order, from the code of 0 to the largest finite one. */
const codes = (largest: number): number[] => Array.from({ length: largest + 1 }, (_, code) => code);

/** Fail unless numbers between neighbours round to the nearer one, and to the even code in the middle. */
function checkRounding(
  largest: number,
  toNumber: (code: number) => number,
  toCode: (value: number) => number,
  nudge: number,
): void {
  for (const code of codes(largest - 1)) {
    const low = toNumber(code), high = toNumber(code + 1), middle = (low + high) / 2;
    const even = code % 2 === 0 ? code : code + 1;
    assert.ok(low < high, `codes ${code} and ${code + 1} are not in order`);
    assert.equal(toCode(middle), even, `${middle} is a tie`);
    assert.equal(toCode(middle - nudge * (high - low)), code, `${middle} and a little less`);
    assert.equal(toCode(middle + nudge * (high - low)), code + 1, `${middle} and a little more`);
    assert.equal(toCode(-middle), even + toCode(-0), `${-middle} is a tie`);
  }
}

Deno.test("each of the 65,536 bf16 codes survives the way to a number and back", () => {
  for (let code = 0; code < 2 ** 16; code++) {
    const value = bf16ToNumber(code);
    if (Number.isNaN(value)) assert.ok(Number.isNaN(bf16ToNumber(numberToBf16(value))));
    else assert.equal(numberToBf16(value), code);
  }
});

Deno.test("bf16 rounds to the nearest number, ties to even", () => {
  // The smallest step between f32 numbers is 2⁻¹⁶ of that between bf16 numbers.
  checkRounding(0x7f7f, bf16ToNumber, numberToBf16, 2 ** -15);
});

Deno.test("bf16 has infinities and NaN, and rounds to infinity past its largest number", () => {
  assert.equal(numberToBf16(Infinity), 0x7f80);
  assert.equal(numberToBf16(-Infinity), 0xff80);
  assert.equal(bf16ToNumber(0x7f80), Infinity);
  assert.ok(Number.isNaN(bf16ToNumber(numberToBf16(NaN))));
  const largest = bf16ToNumber(0x7f7f), step = largest - bf16ToNumber(0x7f7e);
  assert.equal(numberToBf16(largest + 0.49 * step), 0x7f7f);
  assert.equal(numberToBf16(largest + 0.5 * step), 0x7f80);
  assert.equal(numberToBf16(1e300), 0x7f80);
  assert.ok(Object.is(bf16ToNumber(numberToBf16(-0)), -0));
});

Deno.test("each of the 256 e4m3 codes survives the way to a number and back", () => {
  for (let code = 0; code < 256; code++) {
    const value = e4m3ToNumber(code);
    if ((code & 0x7f) === 0x7f) assert.ok(Number.isNaN(value));
    else assert.equal(numberToE4m3(value), code, `${code} is ${value}`);
  }
});

Deno.test("e4m3 rounds to the nearest number, ties to even", () => {
  checkRounding(0x7e, e4m3ToNumber, numberToE4m3, 2 ** -40);
});

Deno.test("e4m3 saturates at 448 and keeps NaN", () => {
  assert.equal(e4m3ToNumber(0x7e), 448);
  for (const value of [449, 464, 1e30, Infinity]) {
    assert.equal(e4m3ToNumber(numberToE4m3(value)), 448);
    assert.equal(e4m3ToNumber(numberToE4m3(-value)), -448);
  }
  assert.ok(Number.isNaN(e4m3ToNumber(numberToE4m3(NaN))));
  assert.equal(e4m3ToNumber(numberToE4m3(2 ** -10)), 0);
  assert.equal(e4m3ToNumber(numberToE4m3(2 ** -10 * 1.01)), 2 ** -9);
});

Deno.test("encoding then decoding gives back every number that the type can hold", () => {
  const bytes = fc.uint8Array({ minLength: 16, maxLength: 64 });
  fc.assert(fc.property(fc.constantFrom(...dtypes), bytes, (dtype, bytes) => {
    const width = bytesOf(dtype), count = Math.floor(bytes.length / width);
    const values = decode(dtype, bytes.slice().buffer, 0, count);
    const buffer = new ArrayBuffer(8 + count * width);
    encode(dtype, values, buffer, 8);
    assert.deepEqual([...decode(dtype, buffer, 8, count)], [...values]);
    assert.deepEqual(new Uint8Array(buffer, 0, 8), new Uint8Array(8));
  }));
});

/** A number as `dtype` holds it, by the definition in TypeScript. */
function held(dtype: DType, value: number): number {
  const buffer = new ArrayBuffer(8);
  encode(dtype, [value], buffer, 0);
  return decode(dtype, buffer, 0, 1)[0];
}

tensorTest("casts agree with the definition for every pair of types", () => {
  const edges = [
    0,
    -0,
    0.5,
    1,
    -1.5,
    2.5,
    127,
    128,
    -129,
    255,
    256,
    300.75,
    448,
    449,
    65504,
    65520,
  ];
  const special = [
    ...edges,
    2 ** 31,
    -(2 ** 31),
    2 ** 32 + 5,
    1e20,
    1e-40,
    NaN,
    Infinity,
    -Infinity,
  ];
  for (const from of dtypes) {
    for (const to of dtypes) {
      const x = Tensor.from(special, [special.length], { dtype: from });
      const expected = [...x.data()].map((value) => held(to, value));
      assert.deepEqual([...x.to(to).data()], expected, `${from} to ${to}`);
    }
  }
});

tensorTest("a fill holds what the element type makes of the number", () => {
  for (const dtype of dtypes) {
    for (const value of [0.1, -2.75, 300, 2 ** 40 + 7, 1e300, NaN, Infinity, -Infinity]) {
      const got = Tensor.full([3], value, { dtype }).data();
      assert.deepEqual([...got], Array(3).fill(held(dtype, value)), `${value} as ${dtype}`);
    }
  }
});
