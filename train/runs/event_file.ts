/**
 * TensorBoard event files: records framed as in TFRecord, each a protocol buffer `Event`.
 * Schemas: `event.proto`, `summary.proto` and `tensor.proto` of https://github.com/tensorflow/tensorboard.
 *
 * @module
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { bytesField, doubleField, floatField, integerField } from "../../text/protobuf_writer.ts";
import { concatBytes, encodeUtf8 } from "../../text/utf8.ts";

const stringType = 7; // DT_STRING
const sessionStarts = 1; // SessionLog.START

/** Remainders of CRC-32C (Castagnoli, reflected polynomial 0x82f63b78) for every byte. */
const remainders: Uint32Array = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});

/** The CRC-32C of some bytes (RFC 3720, appendix B.4), unsigned. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = remainders[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** A checksum as TFRecord stores it: rotated right by 15 bits, plus a constant, so that it can be checked itself. */
function masked(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** One TFRecord: length (u64), its masked checksum, the bytes, their masked checksum; all little-endian. */
export function tfRecord(bytes: Uint8Array): Uint8Array {
  const record = new Uint8Array(16 + bytes.length), view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(bytes.length), true);
  view.setUint32(8, masked(record.subarray(0, 8)), true);
  record.set(bytes, 12);
  view.setUint32(12 + bytes.length, masked(bytes), true);
  return record;
}

/**
 * Appends scalars and texts to an event file of its own, which TensorBoard shows next to earlier files of the folder.
 *
 * It says with which step it begins: TensorBoard then forgets what earlier files say from there on.
 */
export class EventFile implements Disposable {
  readonly #descriptor: number;

  /** Opens a new file in `folder`. */
  constructor(folder: string, firstStep: number) {
    const now = Date.now();
    const name = `events.out.tfevents.${Math.floor(now / 1000)}.${hostname()}.${Deno.pid}.${now}`;
    this.#descriptor = openSync(join(folder, name), "ax");
    this.#write(0, bytesField(3, encodeUtf8("brain.Event:2")));
    this.#write(firstStep, bytesField(7, integerField(1, sessionStarts)));
  }

  /** Figures of a step. */
  scalars(step: number, figures: Readonly<Record<string, number>>): void {
    this.#summary(step, Object.entries(figures).map(([tag, value]) => [tag, floatField(2, value)]));
  }

  /** One text of a step, which TensorBoard shows as Markdown. */
  text(tag: string, step: number, text: string): void {
    const oneString = bytesField(2, integerField(1, 1)); // shape [1]
    const tensor = concatBytes([
      integerField(1, stringType),
      bytesField(2, oneString),
      bytesField(8, encodeUtf8(text)),
    ]);
    const plugin = bytesField(1, bytesField(1, encodeUtf8("text")));
    this.#summary(step, [[tag, concatBytes([bytesField(8, tensor), bytesField(9, plugin)])]]);
  }

  #summary(step: number, values: readonly (readonly [tag: string, value: Uint8Array])[]): void {
    const named = values.map(([tag, value]) =>
      bytesField(1, concatBytes([bytesField(1, encodeUtf8(tag)), value]))
    );
    this.#write(step, bytesField(5, concatBytes(named)));
  }

  #write(step: number, content: Uint8Array): void {
    const event = concatBytes([doubleField(1, Date.now() / 1000), integerField(2, step), content]);
    const record = tfRecord(event);
    for (let done = 0; done < record.length;) {
      done += writeSync(this.#descriptor, record, done);
    }
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}
