/**
 * One interface over every tokenizer format.
 *
 * @module
 */

import { join } from "node:path";
import { ByteTable } from "./byte_table.ts";
import { TokenizerError } from "./errors.ts";
import { readHuggingFace } from "./hugging_face.ts";
import type { JsonObject } from "./hugging_face_config.ts";
import { readTokenizer, type TokenizerOptions } from "./load.ts";
import type { LoadedTokenizer, SpecialIds, TokenModel } from "./model.ts";
import { type TokenBytes, TokenStream } from "./stream.ts";
import { readVocabulary, type VocabularySource } from "./vocabulary.ts";

/** How to encode. */
export interface EncodeOptions {
  /** Add what the tokenizer puts around a text that stands alone, such as `bos` (default false). */
  readonly special?: boolean;
  /** Treat special tokens written out in the text as ordinary text (default false). For untrusted text. */
  readonly plain?: boolean;
}

/** How to decode. */
export interface DecodeOptions {
  /** Show special tokens (default true). */
  readonly special?: boolean;
}

/**
 * Text to token ids and back.
 *
 * @example
 * ```ts
 * import { trainBpe } from "@denotron/denotron/text";
 * import assert from "node:assert/strict";
 *
 * const corpus = ["low lower lowest", "new newer newest"];
 * const tokenizer = trainBpe(corpus, { vocabularySize: 270 }).tokenizer();
 * const ids = tokenizer.encode("a newer low");
 * assert.equal(tokenizer.decode(ids), "a newer low");
 * assert.deepEqual(tokenizer.bytesOf(tokenizer.idOf("Ġ")), Uint8Array.of(0x20));
 * ```
 */
export class Tokenizer implements TokenBytes {
  /** Ids with a role: beginning, ends, padding, unknown. */
  readonly special: SpecialIds;
  /** One more than the highest id. */
  readonly vocabularySize: number;
  /** Jinja source of the chat template that came with the tokenizer, if any. */
  readonly chatTemplate: string | undefined;
  /** How many spaces decoding takes away from the beginning: 0, 1 or Infinity (SentencePiece). */
  readonly leadingSpaces: number;
  readonly #model: TokenModel;
  readonly #files: ReadonlyMap<string, Uint8Array>;
  readonly #ids = new Map<string, number>();
  readonly #bytes: ByteTable;

  /** Wraps what a format reader returns. Programs use {@linkcode Tokenizer.load} or the other makers. */
  constructor(loaded: LoadedTokenizer) {
    this.#model = loaded.model;
    this.#files = loaded.files;
    this.special = loaded.special;
    this.chatTemplate = loaded.chatTemplate;
    this.leadingSpaces = loaded.model.leadingSpaces;
    this.vocabularySize = loaded.model.tokens.length;
    this.#bytes = new ByteTable(this.vocabularySize);
    loaded.model.tokens.forEach((token, id) => {
      if (token !== undefined && !this.#ids.has(token)) this.#ids.set(token, id);
    });
  }

  /**
   * Reads a tokenizer: a Hugging Face folder (`tokenizer.json` with its side files), a SentencePiece
   * `.model`, a llama2.c `tok*.bin`, or tiktoken-format ranks.
   *
   * Throws TokenizerFormatError for a file that is none of them, or cut.
   */
  static async load(path: string, options: TokenizerOptions = {}): Promise<Tokenizer> {
    return new Tokenizer(await readTokenizer(path, options));
  }

  /** Makes a tokenizer of the parsed contents of `tokenizer.json` and `tokenizer_config.json`. */
  static fromJson(tokenizer: JsonObject, config: JsonObject = {}): Tokenizer {
    const bytes = (json: JsonObject): Uint8Array => new TextEncoder().encode(JSON.stringify(json));
    const files = new Map([["tokenizer.json", bytes(tokenizer)]]);
    if (Object.keys(config).length > 0) files.set("tokenizer_config.json", bytes(config));
    return new Tokenizer({ ...readHuggingFace({ tokenizer, config }), files });
  }

  /** Makes a tokenizer of a vocabulary in memory, as a GGUF file carries it. */
  static fromVocabulary(source: VocabularySource): Tokenizer {
    return new Tokenizer(readVocabulary(source));
  }

  /**
   * The ids of a text. A text that already begins with `bos` does not get a second one.
   *
   * Throws TokenizerError where the vocabulary cannot spell the text.
   */
  encode(text: string, options: EncodeOptions = {}): number[] {
    const { prefix, suffix } = this.#model;
    const ids = text === "" ? [] : this.#model.encode(text, options.plain ?? false);
    if (options.special !== true) return ids;
    const begun = prefix.length > 0 && prefix.every((id, i) => ids[i] === id);
    return [...begun ? [] : prefix, ...ids, ...suffix];
  }

  /** The text of ids. Bytes that are not UTF-8 become U+FFFD. */
  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const stream = this.stream(options);
    return stream.pushAll(ids) + stream.flush();
  }

  /** A decoder for ids that arrive one at a time. */
  stream(options: DecodeOptions = {}): TokenStream {
    return new TokenStream(this, options);
  }

  /**
   * The tokenizer as plain lists, from which {@linkcode Tokenizer.fromVocabulary} makes an equal one, and which a GGUF
   * file can carry; undefined where lists cannot say all of it.
   */
  get vocabulary(): VocabularySource | undefined {
    const { vocabulary, prefix, suffix } = this.#model;
    if (vocabulary === undefined) return undefined;
    return {
      ...vocabulary,
      ...this.special,
      addBos: prefix.length > 0,
      addEos: suffix.length > 0,
      ...(this.chatTemplate === undefined ? {} : { chatTemplate: this.chatTemplate }),
    };
  }

  /** Whether the vocabulary has a token of this spelling. */
  has(token: string): boolean {
    return this.#ids.has(token);
  }

  /** The id of a token as the vocabulary spells it. Throws TokenizerError where there is none. */
  idOf(token: string): number {
    const id = this.#ids.get(token);
    if (id === undefined) {
      throw new TokenizerError(
        `idOf: ${JSON.stringify(token)} is not one of the ${this.#ids.size} tokens. ` +
          "Spell it as the vocabulary does, or encode it as text.",
      );
    }
    return id;
  }

  /** The spelling of an id in the vocabulary. Throws TokenizerError outside it. */
  tokenOf(id: number): string {
    const token = this.#model.tokens[id];
    if (token === undefined) {
      throw new TokenizerError(
        `tokenOf: id ${id} has no token (vocabulary of ${this.vocabularySize}). ` +
          "Use the tokenizer that belongs to the model.",
      );
    }
    return token;
  }

  /** The raw bytes that an id stands for; they need not be whole characters. Throws TokenizerError. */
  bytesOf(id: number): Uint8Array {
    const known = this.#bytes.get(id);
    if (known !== undefined) return known;
    this.tokenOf(id);
    const bytes = this.#model.bytes(id);
    this.#bytes.set(id, bytes);
    return bytes;
  }

  /** Whether an id carries no text of its own, such as an end of turn. */
  isSpecial(id: number): boolean {
    return this.#model.special.has(id);
  }

  /** The Unicode normalisation that encoding applies to a text before anything else. */
  normalize(text: string): string {
    return this.#model.normalize(text);
  }

  /**
   * Writes the files that the tokenizer was read from into a folder, from which
   * {@linkcode Tokenizer.load} reads it again.
   *
   * Throws TokenizerError for a tokenizer that has no file form.
   */
  async save(folder: string): Promise<void> {
    if (this.#files.size === 0) {
      throw new TokenizerError(
        "save: the tokenizer was made without files. " +
          "Keep the file that it comes from next to the checkpoint.",
      );
    }
    await Deno.mkdir(folder, { recursive: true });
    for (const [name, bytes] of this.#files) await Deno.writeFile(join(folder, name), bytes);
  }
}
