/**
 * Text: tokenizers, BPE training, chat templates with assistant masks, and the reasoning switch.
 *
 * @module
 */

export { type BpeOptions, trainBpe, type TrainedBpe } from "./bpe.ts";
export { ChatTemplate, type MaskedTokens, type RenderOptions, type TargetOptions } from "./chat.ts";
export { defaultTemplate } from "./default_template.ts";
export * from "./errors.ts";
export type { JsonObject } from "./hugging_face_config.ts";
export type { TokenizerOptions } from "./load.ts";
export type { LoadedTokenizer, SpecialIds, TokenModel } from "./model.ts";
export { gpt2Pattern, llama3Pattern, qwen2Pattern } from "./pattern.ts";
export {
  type ConversationOptions,
  encodeConversation,
  type EncodedConversation,
  encodePrompt,
  endsOf,
  templateStops,
} from "./prompt.ts";
export {
  type ChatMessage,
  followsThinkingFormat,
  type ReasoningDelta,
  ReasoningParser,
  setThinking,
  splitReasoning,
  thinkClose,
  thinkingOff,
  thinkingOn,
  thinkingSwitch,
  thinkOpen,
} from "./reasoning.ts";
export { StopText } from "./stop_text.ts";
export { type TokenBytes, TokenStream } from "./stream.ts";
export { llama3SpecialTokens, type TiktokenOptions } from "./tiktoken.ts";
export { type DecodeOptions, type EncodeOptions, Tokenizer } from "./tokenizer.ts";
export type { VocabularySource } from "./vocabulary.ts";
export type { VocabularyParts } from "./vocabulary_parts.ts";
