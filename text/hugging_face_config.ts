/**
 * Reading the parts of Hugging Face tokenizer files that the library leaves to its caller: which
 * ids have a role, how a token spells bytes, which chat template comes with it.
 *
 * @module
 */

import { unspellBytes } from "./byte_map.ts";
import { TokenizerFormatError } from "./errors.ts";
import type { SpecialIds } from "./model.ts";
import { gpt2Pattern, withUnicodeSpaces } from "./pattern.ts";
import { byteOfPiece, pieceBytes, spaceMark } from "./piece.ts";
import { encodeUtf8 } from "./utf8.ts";

/** A JSON object as it was parsed. */
export type JsonObject = { readonly [key: string]: unknown };

/** How the tokens of a `tokenizer.json` spell bytes. */
export interface Decoding {
  /** Tokens are spelled in the byte alphabet. */
  readonly byteLevel: boolean;
  /** How many spaces decoding takes away from the beginning: 0 or 1. */
  readonly leadingSpaces: number;
  /** Raw bytes of a token of the model (not of an added one). */
  bytes(token: string): Uint8Array;
  /** The Unicode normalisation of the file's normalizer. */
  normalize(text: string): string;
}

/** The parts of a pipeline stage: itself, or the stages of a Sequence. */
export function stages(stage: unknown): JsonObject[] {
  if (typeof stage !== "object" || stage === null) return [];
  const json = stage as JsonObject;
  const inner = json.decoders ?? json.pretokenizers ?? json.normalizers;
  return json.type === "Sequence" && Array.isArray(inner) ? inner.flatMap(stages) : [json];
}

/** Reads `decoder`, `pre_tokenizer` and `normalizer`. Throws TokenizerFormatError for other decoders. */
export function decodingOf(tokenizer: JsonObject): Decoding {
  const decoders = stages(tokenizer.decoder);
  const has = (type: string): boolean => decoders.some((stage) => stage.type === type);
  const normalize = normalizerOf(tokenizer.normalizer);
  const byteLevel = has("ByteLevel") ||
    (decoders.length === 0 && stages(tokenizer.pre_tokenizer).some((s) => s.type === "ByteLevel"));
  if (byteLevel) {
    const bytes = (token: string): Uint8Array => unspellBytes(token) ?? encodeUtf8(token);
    return { byteLevel, leadingSpaces: 0, bytes, normalize };
  }
  const metaspace = decoders.find((stage) => stage.type === "Metaspace");
  if (metaspace === undefined && !has("Replace")) {
    throw new TokenizerFormatError(
      `tokenizer.json: tokens have no exact bytes under the decoder ${
        decoders.map((stage) => stage.type).join("+") || "null"
      }. Supported are ByteLevel, Metaspace, and Replace with ByteFallback.`,
    );
  }
  const mark = typeof metaspace?.replacement === "string" ? metaspace.replacement : spaceMark;
  const fallback = has("ByteFallback");
  const stripped = decoders.some((stage) => stage.type === "Strip" && Number(stage.start) > 0);
  const prefixed = metaspace !== undefined &&
    (metaspace.prepend_scheme ?? (metaspace.add_prefix_space === false ? "never" : "always")) !==
      "never";
  return {
    byteLevel,
    leadingSpaces: stripped || prefixed ? 1 : 0,
    bytes(token) {
      const byte = fallback ? byteOfPiece(token) : undefined;
      return byte !== undefined ? Uint8Array.of(byte) : pieceBytes(token, mark);
    },
    normalize,
  };
}

/**
 * A `pre_tokenizer` whose ByteLevel stages split by the GPT-2 pattern with Unicode white space. The
 * library's own pattern means JavaScript's `\s`, which has U+FEFF and lacks U+0085.
 */
export function withUnicodeWords(preTokenizer: unknown): unknown {
  const all = stages(preTokenizer);
  if (!all.some((stage) => stage.type === "ByteLevel" && stage.use_regex !== false)) {
    return preTokenizer;
  }
  const pretokenizers = all.flatMap((stage) => {
    const splitsByPattern = stage.type === "ByteLevel" && stage.use_regex !== false;
    // A prefix space has to be there before the split; the library's stage does both at once.
    if (!splitsByPattern || stage.add_prefix_space === true) return [stage];
    const pattern = { Regex: withUnicodeSpaces(gpt2Pattern) };
    const split = { type: "Split", pattern, behavior: "Isolated", invert: false };
    return [split, { ...stage, use_regex: false }];
  });
  return { type: "Sequence", pretokenizers };
}

function normalizerOf(normalizer: unknown): (text: string) => string {
  const forms = stages(normalizer).map((stage) => stage.type)
    .filter((type): type is string => /^NFK?[CD]$/.test(String(type)));
  return (text) => forms.reduce((normal, form) => normal.normalize(form), text);
}

/** A token of `tokenizer_config.json`: the text itself, or an object with `content`. */
export function contentOf(token: unknown): string | undefined {
  if (typeof token === "string") return token;
  const content = (token as JsonObject | null | undefined)?.content;
  return typeof content === "string" ? content : undefined;
}

/** Special ids from the names in `config` and the numbers in `generation`. */
export function specialIdsOf(
  idOf: (token: string) => number | undefined,
  config: JsonObject,
  generation: JsonObject,
): SpecialIds {
  const named = (key: string): number | undefined => {
    const content = contentOf(config[key]);
    return content === undefined ? undefined : idOf(content);
  };
  const numbered = [generation.eos_token_id].flat().filter((id): id is number =>
    typeof id === "number"
  );
  const eos = new Set([named("eos_token") ?? [], numbered].flat());
  return withoutUndefined(named("bos_token"), [...eos], named("pad_token"), named("unk_token"));
}

/** Special ids with the absent ones left out. */
export function withoutUndefined(
  bos: number | undefined,
  eos: readonly number[],
  pad: number | undefined,
  unk: number | undefined,
): SpecialIds {
  return {
    eos,
    ...(bos === undefined ? {} : { bos }),
    ...(pad === undefined ? {} : { pad }),
    ...(unk === undefined ? {} : { unk }),
  };
}

/** The chat template of `tokenizer_config.json`: one text, or a list of named ones with a `default`. */
export function templateOf(template: unknown): string | undefined {
  if (typeof template === "string") return template;
  if (!Array.isArray(template)) return undefined;
  const chosen = template.find((entry) => entry?.name === "default") ?? template[0];
  return typeof chosen?.template === "string" ? chosen.template : undefined;
}
