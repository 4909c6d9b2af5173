/**
 * Writing messages in the protocol buffer wire format, field by field.
 * Encoding: https://protobuf.dev/programming-guides/encoding/.
 *
 * @module
 */

import { concatBytes } from "./utf8.ts";

/** Wire type 0. A negative number is its 64-bit two's complement. */
export function integerField(number: number, value: number): Uint8Array {
  return Uint8Array.from([
    ...varint(BigInt(number * 8)),
    ...varint(BigInt.asUintN(64, BigInt(value))),
  ]);
}

/** Wire type 5. */
export function floatField(number: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return Uint8Array.from([...varint(BigInt(number * 8 + 5)), ...bytes]);
}

/** Wire type 1. */
export function doubleField(number: number, value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return Uint8Array.from([...varint(BigInt(number * 8 + 1)), ...bytes]);
}

/** Wire type 2. */
export function bytesField(number: number, value: Uint8Array): Uint8Array {
  return concatBytes([
    Uint8Array.from([...varint(BigInt(number * 8 + 2)), ...varint(BigInt(value.length))]),
    value,
  ]);
}

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80n; value >>= 7n) bytes.push(Number(value & 0x7fn) | 0x80);
  return [...bytes, Number(value)];
}
