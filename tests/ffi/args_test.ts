import { Arguments } from "@denotron/denotron/ffi";
import assert from "node:assert/strict";
import fc from "fast-check";
import { addressOf, compilerTest, openKernels, TemporaryDirectory } from "./support.ts";

// Writes what it was given where it was told to: args = (i64 *integers, f32 *floats, i64, i64, f32, f32).
const ECHO = `
#include <stdint.h>
#include <string.h>
int32_t echo(const uint64_t *args) {
  int64_t *integers = (int64_t *)args[0];
  float *floats = (float *)args[1];
  integers[0] = (int64_t)args[2];
  integers[1] = (int64_t)args[3];
  memcpy(&floats[0], &args[4], 4);
  memcpy(&floats[1], &args[5], 4);
  return 0;
}
// The same through a table of pointers to the arguments, as a launcher takes them.
int32_t echo_table(const uint64_t *table) {
  void **parameters = (void **)table;
  int64_t *integers = *(int64_t **)parameters[0];
  float *floats = *(float **)parameters[1];
  integers[0] = *(int64_t *)parameters[2];
  integers[1] = *(int64_t *)parameters[3];
  floats[0] = *(float *)parameters[4];
  floats[1] = *(float *)parameters[5];
  return 0;
}`;

const { MAX_SAFE_INTEGER, MIN_SAFE_INTEGER } = Number;
const anInteger = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer(),
  fc.constantFrom(MAX_SAFE_INTEGER, MIN_SAFE_INTEGER, -1, 2 ** 31, -(2 ** 31), 2 ** 32, -(2 ** 32)),
);

compilerTest("a C function receives the values that were appended", (compiler) => {
  using directory = new TemporaryDirectory();
  using library = openKernels(compiler, directory.path, ECHO, ["echo", "echo_table"]);
  const integers = new BigInt64Array(2), floats = new Float32Array(2);
  const args = new Arguments();
  fc.assert(fc.property(anInteger, anInteger, fc.float(), fc.float(), (i, j, x, y) => {
    args.reset().address(addressOf(integers)).address(addressOf(floats));
    args.integer(i).integer(j).float(x).float(y);
    for (
      const call of [
        () => library.symbols.echo(args.pointer),
        () => library.symbols.echo_table(args.table),
      ]
    ) {
      integers.fill(0n);
      floats.fill(0);
      assert.equal(call(), 0);
      assert.deepEqual([...integers], [BigInt(i), BigInt(j)]);
      assert.deepEqual([...floats], [x, y]);
    }
  }));
});

Deno.test("an address keeps all of its 53 bits", () => {
  const args = new Arguments(1);
  const view = new Deno.UnsafePointerView(args.pointer);
  fc.assert(fc.property(fc.maxSafeNat(), (address) => {
    args.reset().address(address);
    assert.equal(view.getBigUint64(), BigInt(address));
  }));
});

Deno.test("a float leaves nothing of the slot's former value", () => {
  const args = new Arguments(1).integer(-1);
  args.reset().float(1);
  assert.equal(new Deno.UnsafePointerView(args.pointer).getBigUint64(), 0x3f800000n);
});

Deno.test("values follow one another and reset starts over", () => {
  const args = new Arguments(3);
  assert.equal(args.length, 0);
  assert.equal(args.integer(1).integer(2).length, 2);
  assert.equal(args.reset().length, 0);
  args.integer(3);
  const view = new Deno.UnsafePointerView(args.pointer);
  assert.deepEqual([view.getBigInt64(0), view.getBigInt64(8)], [3n, 2n]);
});

Deno.test("the table points at the slots", () => {
  const args = new Arguments(3);
  const slots = Deno.UnsafePointer.value(args.pointer);
  const table = new Deno.UnsafePointerView(args.table);
  assert.deepEqual(
    [0, 8, 16].map((offset) => table.getBigUint64(offset)),
    [slots, slots + 8n, slots + 16n],
  );
});

Deno.test("appending past the end says how many slots there are", () => {
  const args = new Arguments(2).integer(1).float(2);
  for (const append of [() => args.integer(3), () => args.float(3), () => args.address(3)]) {
    assert.throws(append, {
      name: "RangeError",
      message: "Arguments: no slot left for value 3, the block was made for 2. " +
        "Make it with new Arguments(4).",
    });
  }
  assert.equal(args.length, 2);
});

Deno.test("values that a slot cannot hold are refused and take no slot", () => {
  const args = new Arguments(1);
  for (const value of [NaN, Infinity, -Infinity, 0.5, 2 ** 53, -(2 ** 53)]) {
    assert.throws(() => args.integer(value), {
      name: "RangeError",
      message:
        `Arguments: integer out of range, ${value} (a whole number from -(2^53 - 1) to 2^53 - 1).`,
    });
    assert.throws(() => args.address(value), RangeError);
  }
  assert.throws(() => args.address(-1), {
    message: "Arguments: address out of range, -1 (a whole number from 0 to 2^53 - 1).",
  });
  assert.equal(args.length, 0);
});

Deno.test("a block needs at least one slot", () => {
  for (const slots of [0, -1, 1.5, NaN, Infinity]) {
    assert.throws(() => new Arguments(slots), {
      name: "RangeError",
      message: `Arguments: the number of slots must be a positive integer, got ${slots}`,
    });
  }
});
