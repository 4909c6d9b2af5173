/**
 * Continuing one text with a decoder whose keys and values of earlier tokens are kept.
 *
 * @module
 */
import { Turns } from "../engine/mod.ts";
import { type Decoder, type KvCache, type SampleOptions, sampleToken } from "../nn/mod.ts";
import { noGrad, RandomKey, scope, Tensor } from "../tensor/mod.ts";

/** How to continue. */
export interface ContinueOptions extends SampleOptions {
  /** At most so many new tokens. */
  readonly maxTokens: number;
  /** Ids that end the text; they are not part of it. */
  readonly ends: ReadonlySet<number>;
  /** Tokens less likely than this share of the most likely one are never drawn; 0, the default, for none. */
  readonly minP?: number;
  /** Only ids below this are drawn: those that the tokenizer knows. */
  readonly vocabularySize: number;
  /** Decides what is drawn, together with `sample`: which of several texts of one prompt it is. */
  readonly seed: number;
  readonly sample?: number;
  /** Stops between two tokens. */
  readonly signal?: AbortSignal;
}

/** Why a text ended: its end, a stop text, the most tokens asked for, the model's context, or Ctrl-C. */
export type StopReason = "end" | "stop" | "length" | "context" | "interrupted";

/** Tokens of a prompt that are read at once: bounds memory, and how long Ctrl-C waits. */
const promptPiece = 512;
/** How often others get a turn, such as the listener of Ctrl-C. */
const turnMs = 20;

/** A decoder and what it has read. A prompt that begins like the last text is only read from where they differ. */
export class Session implements Disposable {
  readonly decoder: Decoder;
  readonly #reserve: number;
  #cache: KvCache | null = null;
  #held: number[] = [];

  /** Nothing read yet. `reserve`: tokens to have room for from the start. The decoder stays the caller's. */
  constructor(decoder: Decoder, reserve: number = 0) {
    this.decoder = decoder;
    this.#reserve = reserve;
  }

  /**
   * Yields the tokens that follow `prompt` and returns why they end. The tokens are those that `generate()` of nn gives
   * for prompt number `sample`. Throws RangeError for a prompt of no tokens, or of more than the decoder's context.
   */
  async *continue(
    prompt: readonly number[],
    options: ContinueOptions,
  ): AsyncGenerator<number, StopReason> {
    const { maxTokens, ends, seed, sample = 0, signal } = options;
    const { context } = this.decoder.spec;
    if (prompt.length === 0 || prompt.length > context) {
      throw new RangeError(`continue: the prompt has ${prompt.length} tokens (1 to ${context}).`);
    }
    const key = new RandomKey(seed).derive("generate").derive(sample);
    let fresh = this.#recall(prompt, Math.min(context, prompt.length + maxTokens));
    const turns = new Turns(turnMs);
    for (let made = 0; made < maxTokens; made++) {
      for (; fresh.length > promptPiece; fresh = fresh.slice(promptPiece)) {
        this.#read(fresh.slice(0, promptPiece));
        await turns.give();
        if (signal?.aborted) return "interrupted";
      }
      const logits = this.#read(fresh).subarray(0, options.vocabularySize);
      const id = sampleToken(likelyOnly(logits, options), options, key.uniform(this.#held.length));
      if (ends.has(id)) return "end";
      yield id;
      if (turns.isDue) await turns.give();
      if (signal?.aborted) return "interrupted";
      if (this.#held.length === context) return made + 1 < maxTokens ? "context" : "length";
      fresh = [id];
    }
    return "length";
  }

  /** Keeps what the new prompt shares with the text so far, in a cache for `capacity` tokens; returns the rest. */
  #recall(prompt: readonly number[], capacity: number): readonly number[] {
    if (this.#cache === null || this.#cache.capacity < capacity) {
      // What a cache holds is lost when it grows, so it grows seldom.
      const grown = Math.max(capacity, this.#reserve, 2 * (this.#cache?.capacity ?? 0));
      this.#cache?.[Symbol.dispose]();
      this.#cache = null;
      this.#held = [];
      this.#cache = this.decoder.cache({
        batch: 1,
        capacity: Math.min(this.decoder.spec.context, grown),
      });
    }
    const differs = prompt.findIndex((id, i) => id !== this.#held[i]);
    // The last token is always read: its logits say what follows.
    const shared = differs < 0 ? prompt.length - 1 : Math.min(differs, prompt.length - 1);
    this.#cache.truncate(shared);
    this.#held.length = shared;
    return prompt.slice(shared);
  }

  /** Adds tokens to the cache and returns the logits after the last of them, [vocab]. */
  #read(ids: readonly number[]): Float32Array {
    const logits = noGrad(() =>
      scope(() => {
        const tokens = Tensor.from(ids, [ids.length], { dtype: "i32" });
        const hidden = this.decoder.hidden(tokens, { cache: this.#cache!, lengths: [ids.length] });
        return this.decoder.project(hidden.slice(0, ids.length - 1, ids.length)).data();
      })
    );
    for (const id of ids) this.#held.push(id);
    return logits as Float32Array;
  }

  /** How many tokens the cache holds. */
  get length(): number {
    return this.#held.length;
  }

  /** Gives the cache back. */
  [Symbol.dispose](): void {
    this.#cache?.[Symbol.dispose]();
    this.#cache = null;
    this.#held = [];
  }
}

/** p ≥ minP · max p, with p = softmax(logits / temperature), in logits: l ≥ max l + temperature · ln minP. */
function likelyOnly(
  logits: Float32Array,
  { minP = 0, temperature = 0 }: ContinueOptions,
): Float32Array {
  if (minP <= 0 || temperature <= 0) return logits;
  const most = logits.reduce((a, b) => Math.max(a, b));
  const least = most + temperature * Math.log(minP);
  return logits.map((logit) => logit >= least ? logit : -Infinity);
}
