/** Reads the tokenizer metadata of a GGUF file, enough to test vocabularies made in memory. */

import type { VocabularySource } from "../../text/mod.ts";

type Value = number | bigint | boolean | string | Value[];

/** The vocabulary in the metadata of a GGUF file. */
export function ggufVocabulary(path: string): VocabularySource {
  const get = metadata(Deno.readFileSync(path));
  const id = (key: string): number | undefined => get.get(`tokenizer.ggml.${key}`) as number;
  const list = <T>(key: string): T[] | undefined => get.get(`tokenizer.ggml.${key}`) as T[];
  const optional = Object.entries({
    scores: list<number>("scores"),
    types: list<number>("token_type"),
    merges: list<string>("merges"),
    bos: id("bos_token_id"),
    eos: id("eos_token_id") === undefined ? undefined : [id("eos_token_id")!],
    unk: id("unknown_token_id"),
    pattern: get.get("tokenizer.ggml.pre"),
    addBos: get.get("tokenizer.ggml.add_bos_token"),
  }).filter(([, value]) => value !== undefined);
  return {
    model: get.get("tokenizer.ggml.model") as VocabularySource["model"],
    tokens: list<string>("tokens")!,
    ...Object.fromEntries(optional),
  };
}

function metadata(file: Uint8Array): Map<string, Value> {
  const view = new DataView(file.buffer, file.byteOffset);
  let at = 16;
  const move = (length: number): number => (at += length) - length;
  const size = (): number => Number(view.getBigUint64(move(8), true));
  const text = (): string => {
    const length = size();
    const start = move(length);
    return new TextDecoder().decode(file.subarray(start, start + length));
  };
  const read = (type: number): Value => {
    switch (type) {
      case 0:
        return view.getUint8(move(1));
      case 4:
        return view.getUint32(move(4), true);
      case 5:
        return view.getInt32(move(4), true);
      case 6:
        return view.getFloat32(move(4), true);
      case 7:
        return view.getUint8(move(1)) !== 0;
      case 8:
        return text();
      case 9: {
        const inner = view.getUint32(move(4), true);
        return Array.from({ length: size() }, () => read(inner));
      }
      default:
        return view.getBigUint64(move(8), true);
    }
  };
  const pairs = size();
  return new Map(
    Array.from({ length: pairs }, () => [text(), read(view.getUint32(move(4), true))]),
  );
}
