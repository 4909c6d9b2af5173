/**
 * Just enough of the protocol buffer wire format to read a SentencePiece model.
 * Encoding: https://protobuf.dev/programming-guides/encoding/.
 *
 * @module
 */

import { TokenizerFormatError } from "./errors.ts";

/** One field of a message: its number and its value, by wire type. */
export interface Field {
  /** The field number of the schema. */
  readonly number: number;
  /** A varint (wire type 0) or fixed value as a number, or the bytes of a length-delimited one. */
  readonly value: number | Uint8Array;
}

/** The fields of a message, in file order. Throws TokenizerFormatError where the bytes are cut or invalid. */
export function* fields(message: Uint8Array): Generator<Field> {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = 0;
  const take = (length: number): number => {
    if (length < 0 || length > message.length - at) {
      throw new TokenizerFormatError(
        `SentencePiece model: the file ends inside a field, ${length} bytes wanted ` +
          `(${message.length - at} left). Copy the file again, whole.`,
      );
    }
    at += length;
    return at - length;
  };
  const varint = (): number => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = message[take(1)];
      value |= BigInt(byte & 0x7f) << shift;
      // A negative number is written as its 64-bit two's complement.
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
    throw new TokenizerFormatError(
      "SentencePiece model: a number has more than 10 bytes. The file is not a SentencePiece model.",
    );
  };
  while (at < message.length) {
    const key = varint();
    const number = Math.floor(key / 8);
    const wireType = key - 8 * number;
    if (wireType === 0) yield { number, value: varint() };
    else if (wireType === 1) yield { number, value: view.getFloat64(take(8), true) };
    else if (wireType === 2) {
      const length = varint();
      const start = take(length);
      yield { number, value: message.subarray(start, start + length) };
    } else if (wireType === 5) yield { number, value: view.getFloat32(take(4), true) };
    else {
      throw new TokenizerFormatError(
        `SentencePiece model: unknown wire type ${wireType}. The file is not a SentencePiece model.`,
      );
    }
  }
}
