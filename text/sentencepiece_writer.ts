/**
 * Writing SentencePiece `.model` files. Schema: `sentencepiece_model.proto` of https://github.com/google/sentencepiece.
 *
 * @module
 */

import { concatBytes, encodeUtf8 } from "./utf8.ts";
import type { VocabularySource } from "./vocabulary.ts";

const unigramType = 1;
const bpeType = 2;
/** Says that a role is not filled. */
const noId = -1;

/** The `.model` file of a `llama` or `t5` vocabulary, with the ids that have a role. */
export function sentencePieceFile(source: VocabularySource): Uint8Array {
  const { model, tokens, scores, types, bos, eos = [], pad, unk } = source;
  const pieces = tokens.map((text, id) =>
    concatBytes([
      bytesField(1, encodeUtf8(text)),
      floatField(2, scores?.[id] ?? 0),
      integerField(3, types?.[id] ?? 1),
    ])
  );
  const trainer = concatBytes([
    integerField(3, model === "llama" ? bpeType : unigramType),
    integerField(4, tokens.length),
    integerField(40, unk ?? 0),
    integerField(41, bos ?? noId),
    integerField(42, eos[0] ?? noId),
    integerField(43, pad ?? noId),
  ]);
  const normalizer = concatBytes([
    bytesField(1, encodeUtf8("identity")),
    integerField(3, source.addSpacePrefix === false ? 0 : 1),
    integerField(4, source.removeExtraSpaces === true ? 1 : 0),
  ]);
  return concatBytes([
    ...pieces.map((piece) => bytesField(1, piece)),
    bytesField(2, trainer),
    bytesField(3, normalizer),
  ]);
}

/** Wire type 0. A negative number is its 64-bit two's complement. */
function integerField(number: number, value: number): Uint8Array {
  return Uint8Array.from([
    ...varint(BigInt(number * 8)),
    ...varint(BigInt.asUintN(64, BigInt(value))),
  ]);
}

/** Wire type 5. */
function floatField(number: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return Uint8Array.from([...varint(BigInt(number * 8 + 5)), ...bytes]);
}

/** Wire type 2. */
function bytesField(number: number, value: Uint8Array): Uint8Array {
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
