/**
 * SentencePiece encoding: spaces become `▁`, then pieces are joined by rank (BPE) or searched for the
 * best sum of scores (unigram). llama2.c and GGUF "llama" vocabularies are the same model.
 * Reference: https://github.com/google/sentencepiece.
 *
 * @module
 */

import { keepText } from "./charsmap.ts";
import { TokenizerError } from "./errors.ts";
import { mergeByRank } from "./merge.ts";
import type { TokenModel } from "./model.ts";
import { byteOfPiece, bytePiece, pieceBytes, spaceMark } from "./piece.ts";
import { SectionSplitter } from "./sections.ts";
import { prefixMap, type ScoredPiece, viterbi } from "./unigram.ts";
import { encodeUtf8 } from "./utf8.ts";
import type { VocabularyParts } from "./vocabulary_parts.ts";
import { WordCache } from "./word_cache.ts";

/** What a piece is for, numbered as in the model file and in GGUF. */
export const PieceType = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;

/** One entry of the vocabulary. */
export interface Piece {
  /** Spelling, with `▁` for a space. */
  readonly text: string;
  /** Unigram: log probability. BPE: the higher, the earlier two parts are joined into it. */
  readonly score: number;
  /** One of {@linkcode PieceType}. */
  readonly type: number;
}

/** A SentencePiece vocabulary and its settings. */
export interface PieceVocabulary {
  /** Pieces by id. */
  readonly pieces: readonly Piece[];
  /** How pieces are chosen. */
  readonly algorithm: "bpe" | "unigram";
  /** Put a space before the text. */
  readonly addSpacePrefix: boolean;
  /** Trim the text and make one space of several. */
  readonly collapseSpaces: boolean;
  /** Character normalisation before anything else. */
  readonly normalize: (text: string) => string;
  /** Ids put before and after a text that stands alone. */
  readonly prefix: readonly number[];
  /** See `prefix`. */
  readonly suffix: readonly number[];
}

/** Makes a token model of a piece vocabulary. */
export function pieceModel(vocabulary: PieceVocabulary): TokenModel {
  const { pieces } = vocabulary;
  const idsOfType = (type: number): number[] =>
    pieces.flatMap((piece, id) => piece.type === type ? [id] : []);
  const named = (ids: number[]): [string, number][] => ids.map((id) => [pieces[id].text, id]);
  const control = idsOfType(PieceType.control);
  const userDefined = idsOfType(PieceType.userDefined);
  const splitAll = new SectionSplitter(named([...control, ...userDefined]));
  const splitPlain = new SectionSplitter(named(userDefined));
  const special = new Set(control);
  const encodeMarked = segmenter(vocabulary);
  return {
    tokens: pieces.map((piece) => piece.text),
    special,
    leadingSpaces: leadingSpaces(vocabulary),
    prefix: vocabulary.prefix,
    suffix: vocabulary.suffix,
    encode(text, plain) {
      const ids: number[] = [];
      // The space prefix goes to the beginning of the text and of what follows a special token.
      let fresh = vocabulary.addSpacePrefix;
      for (const section of (plain ? splitPlain : splitAll).split(text)) {
        const marked = typeof section === "number" ? "" : markSpaces(section, vocabulary);
        const isControl = typeof section === "number" && special.has(section);
        if (fresh && !isControl && (marked !== "" || typeof section === "number")) {
          for (const id of encodeMarked(spaceMark + marked)) ids.push(id);
        } else for (const id of encodeMarked(marked)) ids.push(id);
        if (typeof section === "number") ids.push(section);
        fresh = vocabulary.addSpacePrefix && isControl;
      }
      return ids;
    },
    bytes(id) {
      const { text, type } = pieces[id];
      const byte = type === PieceType.byte ? byteOfPiece(text) : undefined;
      if (byte !== undefined) return Uint8Array.of(byte);
      if (type === PieceType.unknown) return encodeUtf8(unknownText);
      return type === PieceType.control ? encodeUtf8(text) : pieceBytes(text);
    },
    normalize: (text) => vocabulary.normalize(text),
    // Lists have no place for a character map.
    ...(vocabulary.normalize === keepText ? { vocabulary: partsOfPieces(vocabulary) } : {}),
  };
}

/** The vocabulary as plain lists. */
function partsOfPieces(vocabulary: PieceVocabulary): VocabularyParts {
  const { pieces, algorithm, addSpacePrefix, collapseSpaces } = vocabulary;
  return {
    model: algorithm === "bpe" ? "llama" : "t5",
    tokens: pieces.map(({ text }) => text),
    scores: pieces.map(({ score }) => score),
    types: pieces.map(({ type }) => type),
    addSpacePrefix,
    removeExtraSpaces: collapseSpaces,
  };
}

/** What SentencePiece writes for an unknown piece: U+2047 between spaces. */
const unknownText = " \u2047 ";

/** Spaces at the beginning that decoding takes away: what encoding cannot have kept. */
function leadingSpaces({ addSpacePrefix, collapseSpaces }: PieceVocabulary): number {
  if (collapseSpaces) return Infinity;
  return addSpacePrefix ? 1 : 0;
}

function markSpaces(text: string, vocabulary: PieceVocabulary): string {
  const normal = vocabulary.normalize(text);
  if (!vocabulary.collapseSpaces) return normal.replaceAll(" ", spaceMark);
  const collapsed = normal.replace(/ {2,}/g, " ").replace(/^ /, "").replaceAll(" ", spaceMark);
  return collapsed.replace(/\u2581+$/u, "");
}

/** Text with marked spaces to ids. */
function segmenter(vocabulary: PieceVocabulary): (marked: string) => number[] {
  const { pieces, algorithm } = vocabulary;
  const byText = usablePieces(pieces);
  const toIds = fallback(pieces);
  const segment = algorithm === "bpe" ? bpeSegments(byText) : unigramSegments(byText);
  const cache = new WordCache();
  const encodeWord = (word: string): number[] => segment(word).flatMap(toIds);
  // Where no piece has a space after another character, words cannot share a piece: each is encoded
  // alone. Not so in unigram search, whose ties depend on rounding in the sum over the whole text.
  const wordsAreSeparate = algorithm === "bpe" &&
    ![...byText.keys()].some((text) => /[^\u2581]\u2581/u.test(text));
  const unknown = pieces.findIndex((piece) => piece.type === PieceType.unknown);
  return (marked) => {
    const words = wordsAreSeparate ? marked.match(/\u2581*[^\u2581]+|\u2581+/gu) ?? [] : [marked];
    const ids: number[] = [];
    for (const word of words) {
      const wordIds = wordsAreSeparate ? cache.get(word, encodeWord) : encodeWord(word);
      for (const id of wordIds) {
        // Neighbouring unknown characters are one unknown piece.
        if (id !== unknown || ids[ids.length - 1] !== unknown) ids.push(id);
      }
    }
    return ids;
  };
}

/** Pieces that text can become; the first of several with one spelling. */
function usablePieces(pieces: readonly Piece[]): Map<string, ScoredPiece> {
  const usable = new Map<string, ScoredPiece>();
  pieces.forEach(({ text, score, type }, id) => {
    const spells = type === PieceType.normal || type === PieceType.userDefined;
    if (spells && text !== "" && !usable.has(text)) usable.set(text, { id, score });
  });
  return usable;
}

type Segmenter = (word: string) => { text: string; id: number | undefined }[];

function bpeSegments(pieces: ReadonlyMap<string, ScoredPiece>): Segmenter {
  const rank = (joined: string): number | undefined => {
    const piece = pieces.get(joined);
    return piece === undefined ? undefined : -piece.score;
  };
  return (word) => mergeByRank([...word], rank).map((text) => ({ text, id: pieces.get(text)?.id }));
}

/** SentencePiece gives an unknown character the lowest score minus this penalty. */
const unknownPenalty = 10;

function unigramSegments(pieces: ReadonlyMap<string, ScoredPiece>): Segmenter {
  let lowest = 0;
  for (const { score } of pieces.values()) lowest = Math.min(lowest, score);
  const prefixes = prefixMap(pieces);
  return (text) => viterbi(text, prefixes, lowest - unknownPenalty);
}

/** A segment to ids: its piece, else its bytes, else the unknown piece. */
function fallback(
  pieces: readonly Piece[],
): (segment: { text: string; id: number | undefined }) => number[] {
  const byteIds = new Map<string, number>();
  pieces.forEach(({ text, type }, id) => {
    if (type === PieceType.byte) byteIds.set(text, id);
  });
  const unknown = pieces.findIndex((piece) => piece.type === PieceType.unknown);
  return ({ text, id }) => {
    if (id !== undefined) return [id];
    const bytes = Array.from(encodeUtf8(text), (byte) => byteIds.get(bytePiece(byte)));
    if (bytes.every((byteId) => byteId !== undefined)) return bytes;
    if (unknown >= 0) return [unknown];
    throw new TokenizerError(
      `encode: the vocabulary cannot spell ${JSON.stringify(text)} and has no unknown piece. ` +
        "Use a vocabulary with byte pieces.",
    );
  };
}
