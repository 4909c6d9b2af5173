/**
 * Chat templates: conversations to text and token ids, with the tokens to train on marked.
 *
 * @module
 */

import { Template } from "@huggingface/jinja";
import { assistantSpans, type Span } from "./assistant_spans.ts";
import { defaultTemplate } from "./default_template.ts";
import { ChatTemplateError, EmptyMaskError } from "./errors.ts";
import { tokenEnds } from "./offsets.ts";
import type { ChatMessage } from "./reasoning.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { assertThinkingKept, hideThinking, showThinking } from "./think_tags.ts";
import { encodeUtf8 } from "./utf8.ts";

/** How to render. Other keys, such as `enable_thinking`, are variables of the template. */
export interface RenderOptions {
  /** Tool descriptions, as in the OpenAI API. */
  readonly tools?: readonly unknown[];
  /** End with the beginning of an assistant turn (default false). */
  readonly addGenerationPrompt?: boolean;
  /** The text of the beginning-of-sequence token. */
  readonly bosToken?: string;
  /** The text of the end-of-sequence token. */
  readonly eosToken?: string;
  /** Variables of the template. */
  readonly [variable: string]: unknown;
}

/** How to render for training. */
export interface TargetOptions extends RenderOptions {
  /** Train on every assistant turn, on the last one only, or on those with these indices (default `all`). */
  readonly targets?: "all" | "last" | readonly number[];
  /** Keep the thinking of targets from a template that would strip it (default false). */
  readonly keepThinking?: boolean;
}

/** A conversation for training. */
export interface MaskedTokens {
  /** The rendered conversation. */
  readonly text: string;
  /** ids: [time]. */
  readonly ids: number[];
  /** mask: [time], 1 where a token is to be learned. */
  readonly mask: Uint8Array;
}

/**
 * A Jinja chat template.
 *
 * @example
 * ```ts
 * import { ChatTemplate } from "@denotron/denotron/text";
 * import assert from "node:assert/strict";
 *
 * const template = new ChatTemplate(
 *   "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}" +
 *     "{% if add_generation_prompt %}assistant:{% endif %}",
 * );
 * const text = template.render([{ role: "user", content: "Hi" }], { addGenerationPrompt: true });
 * assert.equal(text, "user: Hi\nassistant:");
 * ```
 */
export class ChatTemplate {
  /** Jinja source. */
  readonly source: string;
  readonly #template: Template;
  readonly #defaults: RenderOptions;

  /** `defaults`: options of every rendering. Throws ChatTemplateError where the source does not parse. */
  constructor(source: string, defaults: RenderOptions = {}) {
    this.source = source;
    this.#template = parse(source);
    this.#defaults = defaults;
  }

  /** The template that came with a tokenizer, else a plain default; with the tokenizer's `bos` and `eos`. */
  static for(tokenizer: Tokenizer): ChatTemplate {
    const { bos, eos } = tokenizer.special;
    return new ChatTemplate(tokenizer.chatTemplate ?? defaultTemplate, {
      ...(bos === undefined ? {} : { bosToken: tokenizer.tokenOf(bos) }),
      ...(eos[0] === undefined ? {} : { eosToken: tokenizer.tokenOf(eos[0]) }),
    });
  }

  /** The text of a conversation. Throws ChatTemplateError where the template refuses it. */
  render(messages: readonly ChatMessage[], options: RenderOptions = {}): string {
    return renderWith(this.#template, messages, { ...this.#defaults, ...options });
  }

  /**
   * The ids of a conversation, as the model is to read it. The template writes `bos` where the model
   * wants one; nothing is added, and a second `bos` is dropped.
   */
  encode(
    tokenizer: Tokenizer,
    messages: readonly ChatMessage[],
    options: RenderOptions = {},
  ): number[] {
    const ids = tokenizer.encode(this.render(messages, options));
    return ids.slice(extraBos(tokenizer, ids));
  }

  /**
   * The ids of a conversation and which of them to learn: assistant turns with their end-of-turn token.
   *
   * Turns come from the template's `{% generation %}` blocks, else from rendering beginnings of the
   * conversation. Throws EmptyMaskError where nothing is left to learn, ThinkStrippedError where the
   * template changes the thinking of a target, ChatTemplateError where turns cannot be told apart.
   */
  encodeTargets(
    tokenizer: Tokenizer,
    messages: readonly ChatMessage[],
    options: TargetOptions = {},
  ): MaskedTokens {
    const { targets = "all", keepThinking = false, ...renderOptions } = options;
    const turns = messages.flatMap((message, i) => message.role === "assistant" ? [i] : []);
    const targetTurns = chooseTargets(turns, targets);
    if (targetTurns.length === 0) throw noTarget(messages);
    const hidden = keepThinking ? hideThinking(messages, targetTurns) : messages;
    const merged = { ...this.#defaults, ...renderOptions };
    const render = (source: string, part: readonly ChatMessage[], prompt: boolean): string =>
      tokenizer.normalize(
        renderWith(source === this.source ? this.#template : parse(source), part, {
          ...merged,
          addGenerationPrompt: prompt,
        }),
      );
    const rendered = assistantSpans(this.source, hidden, targetTurns, render);
    const { text, spans } = keepThinking ? showThinking(rendered) : rendered;
    const targetText = spans.map(({ start, end }) => text.slice(start, end));
    assertThinkingKept(targetTurns.map((turn) => messages[turn]), targetText, keepThinking);
    return maskTokens(tokenizer, text, spans);
  }
}

function parse(source: string): Template {
  try {
    return new Template(source);
  } catch (error) {
    throw new ChatTemplateError(
      `chat template: it does not parse, ${(error as Error).message}. Correct the Jinja source.`,
    );
  }
}

function renderWith(
  template: Template,
  messages: readonly ChatMessage[],
  options: RenderOptions,
): string {
  const { tools, addGenerationPrompt, bosToken, eosToken, ...variables } = options;
  try {
    return template.render({
      messages,
      tools: tools ?? null,
      documents: null,
      add_generation_prompt: addGenerationPrompt ?? false,
      bos_token: bosToken ?? "",
      eos_token: eosToken ?? "",
      ...variables,
    });
  } catch (error) {
    throw new ChatTemplateError(
      `chat template: it refuses the conversation, ${(error as Error).message} ` +
        `(${
          messages.map((message) => message.role).join(", ")
        }). Change the messages or the template.`,
    );
  }
}

function chooseTargets(
  turns: readonly number[],
  targets: NonNullable<TargetOptions["targets"]>,
): readonly number[] {
  if (targets === "all") return turns;
  return targets === "last" ? turns.slice(-1) : turns.filter((turn) => targets.includes(turn));
}

/** How many ids at the beginning are a `bos` before another `bos`. */
function extraBos(tokenizer: Tokenizer, ids: readonly number[]): number {
  const { bos } = tokenizer.special;
  let extra = 0;
  while (bos !== undefined && ids[extra] === bos && ids[extra + 1] === bos) extra++;
  return extra;
}

/** Marks the tokens that share a byte with a span, up to the last end-of-turn token in it. */
function maskTokens(tokenizer: Tokenizer, text: string, spans: readonly Span[]): MaskedTokens {
  const ids = tokenizer.encode(text);
  const ends = tokenEnds(tokenizer, text, ids);
  const mask = new Uint8Array(ids.length);
  const isEnd = (id: number): boolean => tokenizer.special.eos.includes(id);
  const byteAt = (index: number): number => encodeUtf8(text.slice(0, index)).length;
  for (const span of spans) {
    const [start, end] = [byteAt(span.start), byteAt(span.end)];
    const first = ends.findIndex((tokenEnd) => tokenEnd > start);
    if (first < 0) continue;
    let after = first;
    while (after < ids.length && (after === 0 ? 0 : ends[after - 1]) < end) after++;
    const turnEnd = ids.slice(first, after).findLastIndex(isEnd);
    if (turnEnd >= 0) after = first + turnEnd + 1;
    // A model that never learns to end its turn never stops: an end right after the span counts.
    else if (after < ids.length && isEnd(ids[after])) after++;
    mask.fill(1, first, after);
  }
  if (!mask.includes(1)) {
    throw new EmptyMaskError(
      `chat template: no token of ${ids.length} is to be learned. ` +
        "Give an assistant turn with text, or correct the {% generation %} blocks of the template.",
    );
  }
  const extra = extraBos(tokenizer, ids);
  return { text, ids: ids.slice(extra), mask: mask.slice(extra) };
}

function noTarget(messages: readonly ChatMessage[]): EmptyMaskError {
  return new EmptyMaskError(
    `chat template: nothing to learn, no assistant message is a target ` +
      `(${
        messages.map((message) => message.role).join(", ") || "no messages"
      }). Add an assistant turn.`,
  );
}
