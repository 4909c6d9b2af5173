/**
 * Reading llama2.c tokenizers (`tok*.bin`): a BPE vocabulary with scores, byte pieces from id 3, and
 * the ids 0 to 2 for unknown, beginning and end. Reference: https://github.com/karpathy/llama2.c, `run.c`.
 *
 * @module
 */

import { keepText } from "./charsmap.ts";
import { TokenizerFormatError } from "./errors.ts";
import type { LoadedTokenizer } from "./model.ts";
import { spaceMark } from "./piece.ts";
import { type Piece, pieceModel, PieceType } from "./sentencepiece.ts";
import { decodeUtf8 } from "./utf8.ts";

const unk = 0;
const bos = 1;
const eos = 2;
const firstByte = 3;
const byteCount = 256;

/** Reads a `.bin` file: i32 longest piece, then per piece f32 score, i32 length, bytes, little-endian. */
export function readLlama2c(file: Uint8Array): LoadedTokenizer {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const longest = file.length >= 4 ? view.getInt32(0, true) : 0;
  const pieces: Piece[] = [];
  for (let at = 4; at < file.length;) {
    const header = file.length - at >= 8;
    const length = header ? view.getInt32(at + 4, true) : 0;
    if (!header || length < 0 || length > longest || length > file.length - at - 8) {
      throw cut(
        `piece ${pieces.length} does not fit, ${length} bytes wanted (${file.length - at} left)`,
      );
    }
    const text = decodeUtf8(file.subarray(at + 8, at + 8 + length));
    pieces.push(readPiece(text, view.getFloat32(at, true), pieces.length));
    at += 8 + length;
  }
  if (pieces.length < firstByte + byteCount) {
    throw cut(`it has ${pieces.length} pieces (at least ${firstByte + byteCount} expected)`);
  }
  const model = pieceModel({
    pieces,
    algorithm: "bpe",
    addSpacePrefix: true,
    collapseSpaces: false,
    normalize: keepText,
    prefix: [bos],
    suffix: [],
  });
  return { model, special: { unk, bos, eos: [eos] }, files: new Map([["tokenizer.bin", file]]) };
}

/** The format has no piece types: the id tells them. */
function readPiece(text: string, score: number, id: number): Piece {
  if (Number.isNaN(score)) throw cut(`the score of piece ${id} is not a number`);
  if (id === unk) return { text: "<unk>", score, type: PieceType.unknown };
  if (id === bos) return { text: "<s>", score, type: PieceType.control };
  if (id === eos) return { text: "</s>", score, type: PieceType.control };
  const type = id < firstByte + byteCount ? PieceType.byte : PieceType.normal;
  return { text: type === PieceType.byte ? text : text.replaceAll(" ", spaceMark), score, type };
}

function cut(what: string): TokenizerFormatError {
  return new TokenizerFormatError(
    `llama2.c tokenizer: ${what}. The file is cut or not a llama2.c tokenizer.`,
  );
}
