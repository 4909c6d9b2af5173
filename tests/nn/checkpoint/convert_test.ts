import assert from "node:assert/strict";
import fc from "fast-check";
import {
  fromFloat32,
  storedBytes,
  type StoredDType,
  toFloat32,
} from "../../../nn/checkpoint/convert.ts";

const floats = fc.float32Array({ minLength: 1, maxLength: 64 });

/** Every bit pattern of a 16-bit format. */
function every16(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer);
}

Deno.test("f16 equals the definition for every bit pattern", () => {
  const values = toFloat32("f16", every16());
  for (let bits = 0; bits < 65536; bits++) {
    const sign = bits >> 15 ? -1 : 1;
    const exponent = bits >> 10 & 31;
    const fraction = bits & 1023;
    const expected = exponent === 31
      ? (fraction ? NaN : sign * Infinity)
      : exponent === 0
      ? sign * fraction * 2 ** -24
      : sign * (1024 + fraction) * 2 ** (exponent - 25);
    assert.ok(Object.is(values[bits], expected), `${bits.toString(16)}: ${values[bits]}`);
  }
});

for (const dtype of ["f16", "bf16"] as const) {
  Deno.test(`every ${dtype} bit pattern survives the way through f32`, () => {
    const bytes = every16();
    const values = toFloat32(dtype, bytes);
    const back = new Uint16Array(fromFloat32(dtype, values).buffer);
    for (let bits = 0; bits < 65536; bits++) {
      if (Number.isNaN(values[bits])) {
        assert.ok(Number.isNaN(toFloat32(dtype, bytesOf(back[bits]))[0]));
      } else assert.equal(back[bits], bits);
    }
  });

  Deno.test(`${dtype} rounds to the nearest, ties to even`, () => {
    const bits = (value: number) =>
      new Uint16Array(fromFloat32(dtype, new Float32Array([value])).buffer)[0];
    fc.assert(
      fc.property(fc.integer({ min: 0, max: dtype === "f16" ? 0x7bfe : 0x7f7e }), (low) => {
        const [a, b] = toFloat32(dtype, bytesOf(low, low + 1));
        const middle = Math.fround((a + b) / 2);
        assert.equal(bits(middle), low % 2 === 0 ? low : low + 1);
        assert.equal(bits(-middle), bits(middle) | 0x8000);
        assert.equal(bits(a + (b - a) * 0.25), low);
        assert.equal(bits(a + (b - a) * 0.75), low + 1);
      }),
      { numRuns: 2000 },
    );
  });

  Deno.test(`${dtype} keeps NaN, infinities and signed zero, and overflows to infinity`, () => {
    const largest = dtype === "f16" ? 65520 : 3.4e38;
    const values = new Float32Array([NaN, Infinity, -Infinity, 0, -0, largest, -largest]);
    const back = [...toFloat32(dtype, fromFloat32(dtype, values))];
    assert.deepEqual(back, [NaN, Infinity, -Infinity, 0, -0, Infinity, -Infinity]);
  });
}

function bytesOf(...halves: number[]): Uint8Array {
  return new Uint8Array(Uint16Array.from(halves).buffer);
}

Deno.test("a NaN whose upper half looks like infinity stays NaN in bf16", () => {
  const values = new Float32Array(new Uint32Array([0x7f800001, 0xff800001]).buffer);
  assert.ok(toFloat32("bf16", fromFloat32("bf16", values)).every(Number.isNaN));
});

Deno.test("f32 and f64 keep every number", () => {
  fc.assert(fc.property(floats, (values) => {
    for (const dtype of ["f32", "f64"] as const) {
      assert.deepEqual(toFloat32(dtype, fromFloat32(dtype, values)), values);
    }
  }));
});

Deno.test("8-bit floats have the values that their definition gives", () => {
  const e4m3 = toFloat32("e4m3", Uint8Array.from([0, 0x80, 1, 7, 8, 0x38, 0x40, 0x7e, 0xfe, 0x7f]));
  const smallest = 2 ** -9;
  assert.deepEqual([...e4m3], [0, -0, smallest, 7 * smallest, 2 ** -6, 1, 2, 448, -448, NaN]);
  const e5m2 = toFloat32("e5m2", Uint8Array.from([0, 0x80, 1, 0x3c, 0x7b, 0x7c, 0xfc, 0x7f]));
  assert.deepEqual([...e5m2], [0, -0, 2 ** -16, 1, 57344, Infinity, -Infinity, NaN]);
});

Deno.test("q8_0 stores each block's largest number as 127 and errs by half a step at most", () => {
  fc.assert(fc.property(
    fc.float32Array({ minLength: 64, maxLength: 64, noNaN: true, min: -1000, max: 1000 }),
    (values) => {
      const bytes = fromFloat32("q8_0", values);
      assert.equal(bytes.length, storedBytes("q8_0", [2, 32]));
      const back = toFloat32("q8_0", bytes);
      values.forEach((value, i) => {
        const block = values.subarray(i - i % 32, i - i % 32 + 32);
        const step = Math.max(...block.map(Math.abs)) / 127;
        // Half a step, and the rounding of the scale to f16 (2^-11 of it, 2^-25 when subnormal).
        const slack = 127 * Math.max(step * 2 ** -11, 2 ** -25) * 1.01;
        assert.ok(Math.abs(back[i] - value) <= step / 2 * 1.001 + slack, `${value} ${back[i]}`);
      });
      const again = toFloat32("q8_0", fromFloat32("q8_0", back));
      assert.ok(
        again.every((value, i) => Math.abs(value - back[i]) <= Math.abs(back[i]) * 2e-3 + 1e-4),
      );
    },
  ));
});

Deno.test("q8_0 has the bytes that ggml writes", () => {
  const values = new Float32Array(32);
  values.set([127, -127, 0.5, -0.5, 1.5, 2.49, -3]);
  const bytes = fromFloat32("q8_0", values);
  // The scale is 1 (0x3c00 as f16); halves round away from zero.
  assert.deepEqual([...bytes.subarray(0, 2)], [0x00, 0x3c]);
  assert.deepEqual([...new Int8Array(bytes.buffer, 2, 8)], [127, -127, 1, -1, 2, 2, -3, 0]);
  assert.deepEqual(fromFloat32("q8_0", new Float32Array(32)), new Uint8Array(34));
});

Deno.test("what cannot be converted is refused", () => {
  assert.throws(() => fromFloat32("q8_0", new Float32Array(32).fill(NaN)), /is NaN/);
  assert.throws(() => fromFloat32("q8_0", new Float32Array(33)), /33 vs 32/);
  assert.throws(() => storedBytes("q8_0", [4, 31]), RangeError);
  assert.throws(() => toFloat32("bf16", new Uint8Array(3)), /1 left over/);
  for (const dtype of ["i64", "i32", "i16", "i8", "u8", "bool"] satisfies StoredDType[]) {
    assert.throws(() => toFloat32(dtype, new Uint8Array(8)), /does not hold weights/);
    assert.throws(() => fromFloat32(dtype, new Float32Array(1)), /not written as/);
  }
});

Deno.test("bytes that start anywhere in memory are decoded", () => {
  const memory = new Uint8Array(13);
  memory.set(fromFloat32("f32", new Float32Array([1, 2, 3])), 1);
  assert.deepEqual([...toFloat32("f32", memory.subarray(1))], [1, 2, 3]);
});
