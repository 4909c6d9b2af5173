/**
 * The typed errors of `text/`.
 *
 * @module
 */

/** A tokenizer was asked for something its vocabulary does not have. */
export class TokenizerError extends Error {
  /** The class name, for logs. */
  override readonly name: string = "TokenizerError";
}

/** A tokenizer file is truncated, inconsistent or of an unsupported kind. */
export class TokenizerFormatError extends TokenizerError {
  /** The class name, for logs. */
  override readonly name: string = "TokenizerFormatError";
}

/** A chat template does not parse, does not render, or cannot give a sound assistant mask. */
export class ChatTemplateError extends Error {
  /** The class name, for logs. */
  override readonly name: string = "ChatTemplateError";
}

/** An assistant mask has no trainable token: training on it would change nothing. */
export class EmptyMaskError extends ChatTemplateError {
  /** The class name, for logs. */
  override readonly name: string = "EmptyMaskError";
}

/** A template changed or removed the `<think>` part of a training target. */
export class ThinkStrippedError extends ChatTemplateError {
  /** The class name, for logs. */
  override readonly name: string = "ThinkStrippedError";
}
