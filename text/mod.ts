/**
 * Text: tokenizers, BPE training, chat templates with assistant masks, and the reasoning switch.
 *
 * @module
 */

export { type BpeOptions, trainBpe, type TrainedBpe } from "./bpe.ts";
export * from "./errors.ts";
export { gpt2Pattern, llama3Pattern, qwen2Pattern } from "./pattern.ts";
export { type TokenBytes, TokenStream } from "./stream.ts";
export { type DecodeOptions, type EncodeOptions, Tokenizer } from "./tokenizer.ts";
export type { VocabularySource } from "./vocabulary.ts";
