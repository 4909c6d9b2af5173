/**
 * The tokenizer of the embedded data.
 *
 * @module
 */
import {
  ChatTemplate,
  thinkClose,
  thinkOpen,
  trainBpe,
  type TrainedBpe,
} from "../../../text/mod.ts";
import { pretrainRow, sftRow } from "./rows.ts";

/** A turn costs one token besides its text, which counts when turns are as short as here. */
export const compactTemplate: string = `
{%- for message in messages -%}
  {{- '<|' + message.role + '|>' -}}
  {%- if message.role == 'assistant' -%}
    {%- generation -%}{{- message.content + '<|end|>' -}}{%- endgeneration -%}
  {%- else -%}
    {{- message.content -}}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}`.trim();

/** The tokens of {@linkcode compactTemplate}, its end of a turn first. */
export const compactTokens: readonly string[] = [
  "<|end|>",
  "<|system|>",
  "<|user|>",
  "<|assistant|>",
  thinkOpen,
  thinkClose,
];

/** Words with the space before them, digits one by one, signs, line breaks. */
const pattern = String.raw` ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\n+|\s+(?!\S)|\s+`;

/** Learns a vocabulary from the first texts and conversations of a seed. */
export function trainSyntheticTokenizer(
  { vocabularySize = 1024, rows = 4000, seed = 0 }: {
    readonly vocabularySize?: number;
    readonly rows?: number;
    readonly seed?: number;
  } = {},
): TrainedBpe {
  const template = new ChatTemplate(compactTemplate);
  const texts = Array.from({ length: rows / 2 }, (_, i) => [
    pretrainRow(i, { seed }).text,
    template.render(sftRow(i, { seed }).messages),
  ]).flat();
  return trainBpe(texts, {
    vocabularySize,
    specialTokens: compactTokens,
    eos: "<|end|>",
    pattern,
    chatTemplate: compactTemplate,
  });
}
