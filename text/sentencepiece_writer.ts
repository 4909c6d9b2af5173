/**
 * Writing SentencePiece `.model` files. Schema: `sentencepiece_model.proto` of https://github.com/google/sentencepiece.
 *
 * @module
 */

import { bytesField, floatField, integerField } from "./protobuf_writer.ts";
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
