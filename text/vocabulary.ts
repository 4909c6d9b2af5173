/**
 * Tokenizers from a plain vocabulary, as GGUF files carry it in their metadata.
 *
 * @module
 */

import { keepText } from "./charsmap.ts";
import { TokenizerFormatError } from "./errors.ts";
import { readHuggingFace } from "./hugging_face.ts";
import { withoutUndefined } from "./hugging_face_config.ts";
import type { LoadedTokenizer } from "./model.ts";
import { gpt2Pattern, llama3Pattern, qwen2Pattern } from "./pattern.ts";
import { pieceModel, PieceType } from "./sentencepiece.ts";
import { sentencePieceFile } from "./sentencepiece_writer.ts";
import { byteLevelJson } from "./tokenizer_json.ts";
import { encodeUtf8 } from "./utf8.ts";

/**
 * A vocabulary in memory. The fields are those of GGUF (`tokenizer.ggml.*`):
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
 */
export interface VocabularySource {
  /** `gpt2` byte-level BPE with merges, `llama` SentencePiece BPE with scores, `t5` unigram with scores. */
  readonly model: "gpt2" | "llama" | "t5";
  /** Tokens by id. */
  readonly tokens: readonly string[];
  /** Scores by id, for `llama` and `t5`. */
  readonly scores?: ArrayLike<number>;
  /** Token types by id: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. */
  readonly types?: ArrayLike<number>;
  /** Merges `"left right"`, best first, for `gpt2`. */
  readonly merges?: readonly string[];
  /** Name of the word pattern for `gpt2`: `gpt-2`, `llama-bpe` or `qwen2`. */
  readonly pattern?: string;
  /** Beginning of a sequence. */
  readonly bos?: number;
  /** Ends of a sequence. */
  readonly eos?: readonly number[];
  /** Padding. */
  readonly pad?: number;
  /** The unknown token. */
  readonly unk?: number;
  /** Put `bos` before a text that stands alone (default: for `llama` only). */
  readonly addBos?: boolean;
  /** Put the first `eos` after it (default false). */
  readonly addEos?: boolean;
  /** Put a space before the text (default true for `llama` and `t5`). */
  readonly addSpacePrefix?: boolean;
  /** Trim the text and make one space of several (default false). */
  readonly removeExtraSpaces?: boolean;
  /** Jinja source of the chat template. */
  readonly chatTemplate?: string;
}

const patterns: ReadonlyMap<string, string> = new Map([
  ["default", gpt2Pattern],
  ["gpt-2", gpt2Pattern],
  ["llama-bpe", llama3Pattern],
  ["llama3", llama3Pattern],
  ["llama-v3", llama3Pattern],
  ["qwen2", qwen2Pattern],
]);

/** Makes a tokenizer of a vocabulary in memory. Throws TokenizerFormatError where parts are missing. */
export function readVocabulary(source: VocabularySource): LoadedTokenizer {
  check(source);
  const eos = source.eos ?? [];
  const special = withoutUndefined(source.bos, eos, source.pad, source.unk);
  const loaded = source.model === "gpt2" ? byteLevel(source) : pieces(source);
  const addBos = source.addBos ?? source.model === "llama";
  return {
    ...loaded,
    model: {
      ...loaded.model,
      prefix: addBos && source.bos !== undefined ? [source.bos] : [],
      suffix: source.addEos === true ? eos.slice(0, 1) : [],
    },
    special,
    files: new Map([...loaded.files, ...sideFiles(source, addBos)]),
    ...(source.chatTemplate === undefined ? {} : { chatTemplate: source.chatTemplate }),
  };
}

/** What a vocabulary file does not say, in the files that Hugging Face has for it. */
function sideFiles(source: VocabularySource, addBos: boolean): Map<string, Uint8Array> {
  const { model, tokens, bos, eos = [], pad, unk, addEos = false, chatTemplate } = source;
  const named = { bos_token: bos, eos_token: eos[0], pad_token: pad, unk_token: unk };
  const config = {
    tokenizer_class: model === "llama" ? "LlamaTokenizer" : "PreTrainedTokenizerFast",
    clean_up_tokenization_spaces: false,
    add_bos_token: addBos,
    add_eos_token: addEos,
    ...Object.fromEntries(
      Object.entries(named).filter(([, id]) => id !== undefined).map((
        [key, id],
      ) => [key, tokens[id!]]),
    ),
    ...(chatTemplate === undefined ? {} : { chat_template: chatTemplate }),
  };
  const file = (json: unknown): Uint8Array => encodeUtf8(`${JSON.stringify(json, null, 2)}\n`);
  const files = new Map([["tokenizer_config.json", file(config)]]);
  // There is one end of text by name, and any number of ends by id.
  if (eos.length > 1) files.set("generation_config.json", file({ eos_token_id: eos }));
  return files;
}

function byteLevel(source: VocabularySource): LoadedTokenizer {
  const name = source.pattern ?? "gpt-2";
  const pattern = patterns.get(name);
  if (pattern === undefined) {
    throw new TokenizerFormatError(
      `vocabulary: the word pattern ${JSON.stringify(name)} is not known. ` +
        `Known are ${[...patterns.keys()].join(", ")}; or load a tokenizer.json.`,
    );
  }
  const typeOf = (id: number): number => source.types?.[id] ?? PieceType.normal;
  const added = source.tokens.flatMap((content, id) => {
    const special = typeOf(id) === PieceType.control;
    return special || typeOf(id) === PieceType.userDefined ? [{ id, content, special }] : [];
  });
  const tokenizer = byteLevelJson({
    vocabulary: new Map(source.tokens.map((token, id) => [token, id])),
    merges: source.merges!,
    added,
    pattern,
    ignoreMerges: pattern === llama3Pattern,
  });
  const loaded = readHuggingFace({ tokenizer });
  return {
    ...loaded,
    files: new Map([["tokenizer.json", encodeUtf8(JSON.stringify(tokenizer))]]),
  };
}

function pieces(source: VocabularySource): LoadedTokenizer {
  const model = pieceModel({
    pieces: source.tokens.map((text, id) => ({
      text,
      score: source.scores![id],
      type: source.types?.[id] ?? PieceType.normal,
    })),
    algorithm: source.model === "llama" ? "bpe" : "unigram",
    addSpacePrefix: source.addSpacePrefix ?? true,
    collapseSpaces: source.removeExtraSpaces ?? false,
    normalize: keepText,
    prefix: [],
    suffix: [],
  });
  const files = new Map([["tokenizer.model", sentencePieceFile(source)]]);
  return { model, special: { eos: [] }, files };
}

function check(source: VocabularySource): void {
  const { length } = source.tokens;
  const fail = (what: string): never => {
    throw new TokenizerFormatError(`vocabulary: ${what}. Check the metadata it comes from.`);
  };
  if (source.model === "gpt2" && source.merges === undefined) fail("gpt2 needs merges, none given");
  if (source.model !== "gpt2" && source.scores?.length !== length) {
    fail(
      `${source.model} needs one score per token (${length} tokens, ${
        source.scores?.length ?? 0
      } scores)`,
    );
  }
  if (source.types !== undefined && source.types.length !== length) {
    fail(`one type per token is needed (${length} tokens, ${source.types.length} types)`);
  }
  const roles = [source.bos, ...source.eos ?? [], source.pad, source.unk];
  const outside = roles.find((id) => id !== undefined && !(id >= 0 && id < length));
  if (outside !== undefined) {
    fail(`a special id is outside the vocabulary, ${outside} (${length} tokens)`);
  }
}
