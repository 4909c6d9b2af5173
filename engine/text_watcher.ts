/**
 * Text of the tokens that an engine generates, up to a stop text.
 *
 * @module
 */
import { StopText, type TokenBytes, TokenStream } from "../text/mod.ts";

/**
 * What the engine, which knows ids only, needs to end a choice at a stop text: tokens go in, text that is certain comes
 * out. Stop texts are found however tokens cut them.
 *
 * @example
 * ```ts
 * import { TextWatcher } from "@denotron/denotron/engine";
 * import { trainBpe } from "@denotron/denotron/text";
 * import assert from "node:assert/strict";
 *
 * const tokenizer = trainBpe(["a"], { vocabularySize: 256 }).tokenizer();
 * const text = new TextWatcher(tokenizer, ["."]);
 * const ends = tokenizer.encode("no. 1").map((id) => text.push(id));
 * assert.deepEqual(ends.indexOf(true), 2);
 * assert.equal(text.take() + text.flush(), "no");
 * ```
 */
export class TextWatcher {
  readonly #stream: TokenStream;
  readonly #stop: StopText;
  #text = "";

  /** Nothing read yet. `stops`: texts that end it. `special`: whether special tokens appear, false by default. */
  constructor(
    tokenizer: TokenBytes,
    stops: readonly string[] = [],
    options: { readonly special?: boolean } = {},
  ) {
    this.#stream = new TokenStream(tokenizer, { special: options.special ?? false });
    this.#stop = new StopText(stops);
  }

  /** The stop text that was found, if any. */
  get found(): string | null {
    return this.#stop.found;
  }

  /** Takes the next token and tells whether a stop text is complete: a `TokenWatcher`. */
  push(id: number): boolean {
    this.#text += this.#stop.push(this.#stream.push(id));
    return this.#stop.stopped;
  }

  /** The text since it was last taken; no part of a stop text, and no part of a character. */
  take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }

  /** Ends the text: what was held back in vain. */
  flush(): string {
    return this.take() + this.#stop.push(this.#stream.flush()) + this.#stop.flush();
  }
}
