/**
 * Models and tokenizers that are made anew.
 *
 * @module
 */
import { Decoder, type DecoderSpec } from "../../nn/mod.ts";
import { ChatTemplate, Tokenizer, trainBpe } from "../../text/mod.ts";
import type { PretrainConfig, ShapeConfig } from "../config/schema.ts";
import { isChat, isCompletion, openRows, type Row, streamRows } from "../data/mod.ts";
import { compactTemplate, compactTokens } from "../data/synthetic/mod.ts";
import type { JobModel } from "./token_job.ts";

/** Characters that a tokenizer is trained on; more change little. */
const tokenizerCharacters = 5_000_000;

/** A Llama-shaped decoder: grouped queries, gated units, a head that is the embedding. */
export function llamaSpec(shape: ShapeConfig, vocab: number): DecoderSpec {
  const { dim, layers, heads, kvHeads, hidden, context, ropeTheta } = shape;
  return {
    vocab,
    dim,
    context,
    headDim: dim / heads,
    tied: true,
    norm: { kind: "rms_norm", eps: 1e-5 },
    rope: { theta: ropeTheta, fraction: 1, scaling: null },
    blocks: Array.from({ length: layers }, () => ({
      attention: { kind: "gqa", heads, kvHeads },
      ffn: { kind: "gated", hidden, activation: "silu" },
    })),
  };
}

/** A model with random weights, and its tokenizer: the given one, or one that is trained on the data. */
export async function newModel(
  config: PretrainConfig,
  tell: (line: string) => void,
): Promise<JobModel> {
  const tokenizer = config.tokenizer === undefined
    ? await newTokenizer(config, tell)
    : await Tokenizer.load(config.tokenizer);
  const { dtype, seed, shape } = config;
  const decoder = new Decoder(llamaSpec(shape, tokenizer.vocabularySize), { dtype, seed });
  return { decoder, tokenizer };
}

/** A byte-level tokenizer of the configured data, with a chat template that knows the reasoning switch. */
async function newTokenizer(
  { data, seed, onBadRow, shape }: PretrainConfig,
  tell: (line: string) => void,
): Promise<Tokenizer> {
  using rows = await openRows(data.map(({ path }) => path));
  const stream = streamRows(rows, { seed, onBadRow, epochs: 1 });
  const template = new ChatTemplate(compactTemplate), texts: string[] = [];
  for (let read = 0; read < tokenizerCharacters;) {
    const row = await stream.next();
    if (row === null) break;
    const text = textOf(row, template);
    texts.push(text);
    read += text.length;
  }
  tell(`tokenizer: learning ${shape.vocabulary} tokens from ${texts.length} rows`);
  return trainBpe(texts, {
    vocabularySize: shape.vocabulary,
    specialTokens: compactTokens,
    eos: compactTokens[0],
    chatTemplate: compactTemplate,
  }).tokenizer();
}

function textOf(row: Row, template: ChatTemplate): string {
  if (isChat(row)) return template.render(row.messages);
  return isCompletion(row) ? row.prompt + row.completion : String(row.text);
}
