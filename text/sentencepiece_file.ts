/**
 * Reading SentencePiece `.model` files (protocol buffers).
 * Schema: `sentencepiece_model.proto` of https://github.com/google/sentencepiece.
 *
 * @module
 */

import { charsmapNormalizer } from "./charsmap.ts";
import { TokenizerFormatError } from "./errors.ts";
import { withoutUndefined } from "./hugging_face_config.ts";
import type { LoadedTokenizer } from "./model.ts";
import { fields } from "./protobuf.ts";
import { type Piece, pieceModel, PieceType } from "./sentencepiece.ts";
import { decodeUtf8 } from "./utf8.ts";

/** The settings that matter for encoding, with the defaults of the schema. */
interface Settings {
  modelType: number;
  spaceAsSuffix: boolean;
  unk: number;
  bos: number;
  eos: number;
  pad: number;
  charsmap: Uint8Array;
  addDummyPrefix: boolean;
  removeExtraSpaces: boolean;
}

const unigramType = 1;
const bpeType = 2;

/** Reads a `.model` file. Throws TokenizerFormatError where it is cut, invalid or of an unsupported kind. */
export function readSentencePiece(file: Uint8Array): LoadedTokenizer {
  const pieces: Piece[] = [];
  const settings: Settings = {
    modelType: unigramType,
    spaceAsSuffix: false,
    unk: 0,
    bos: 1,
    eos: 2,
    pad: -1,
    charsmap: new Uint8Array(0),
    addDummyPrefix: true,
    removeExtraSpaces: true,
  };
  const present = new Set<number>();
  for (const { number, value } of fields(file)) {
    if (!(value instanceof Uint8Array)) continue;
    present.add(number);
    if (number === 1) pieces.push(readPiece(value));
    else if (number === 2) readTrainer(value, settings);
    else if (number === 3) readNormalizer(value, settings);
  }
  // The settings follow the pieces: without them the file is cut between two pieces.
  if (![1, 2, 3].every((number) => present.has(number))) {
    throw new TokenizerFormatError(
      `SentencePiece model: pieces or settings are missing, ${pieces.length} pieces read. ` +
        "The file is cut or not a SentencePiece model.",
    );
  }
  check(pieces, settings);
  const at = (id: number): number | undefined => id >= 0 && id < pieces.length ? id : undefined;
  const eos = at(settings.eos);
  const special = withoutUndefined(
    at(settings.bos),
    eos === undefined ? [] : [eos],
    at(settings.pad),
    at(settings.unk),
  );
  const model = pieceModel({
    pieces,
    algorithm: settings.modelType === bpeType ? "bpe" : "unigram",
    addSpacePrefix: settings.addDummyPrefix,
    collapseSpaces: settings.removeExtraSpaces,
    normalize: charsmapNormalizer(settings.charsmap),
    prefix: special.bos === undefined ? [] : [special.bos],
    suffix: [],
  });
  return { model, special, files: new Map([["tokenizer.model", file]]) };
}

function readPiece(message: Uint8Array): Piece {
  let text = "";
  let score = 0;
  let type: number = PieceType.normal;
  for (const { number, value } of fields(message)) {
    if (number === 1 && value instanceof Uint8Array) text = decodeUtf8(value);
    else if (number === 2 && typeof value === "number") score = value;
    else if (number === 3 && typeof value === "number") type = value;
  }
  return { text, score, type };
}

function readTrainer(message: Uint8Array, settings: Settings): void {
  for (const { number, value } of fields(message)) {
    if (typeof value !== "number" || !Number.isFinite(value)) continue;
    if (number === 3) settings.modelType = value;
    else if (number === 24) settings.spaceAsSuffix = value !== 0;
    else if (number === 40) settings.unk = value;
    else if (number === 41) settings.bos = value;
    else if (number === 42) settings.eos = value;
    else if (number === 43) settings.pad = value;
  }
}

function readNormalizer(message: Uint8Array, settings: Settings): void {
  for (const { number, value } of fields(message)) {
    if (number === 2 && value instanceof Uint8Array) settings.charsmap = value;
    else if (number === 3) settings.addDummyPrefix = value !== 0;
    else if (number === 4) settings.removeExtraSpaces = value !== 0;
  }
}

function check(pieces: readonly Piece[], settings: Settings): void {
  const broken = pieces.findIndex((piece) => Number.isNaN(piece.score));
  if (broken >= 0) {
    throw new TokenizerFormatError(
      `SentencePiece model: the score of piece ${broken} is not a number. Copy the file again, whole.`,
    );
  }
  if (settings.modelType !== unigramType && settings.modelType !== bpeType) {
    throw new TokenizerFormatError(
      `SentencePiece model: model type ${settings.modelType} is not supported ` +
        "(1 unigram and 2 BPE are). Export the tokenizer as tokenizer.json.",
    );
  }
  if (settings.spaceAsSuffix) {
    throw new TokenizerFormatError(
      "SentencePiece model: treat_whitespace_as_suffix is not supported. " +
        "Export the tokenizer as tokenizer.json.",
    );
  }
}
