/**
 * What it costs to generate with shorter weights than those that are trained, and what it brings.
 *
 * @module
 */
import { openTokenizer } from "../cli/model.ts";
import { Engine } from "../engine/mod.ts";
import { Decoder, openCheckpoint, type WeightFormat } from "../nn/mod.ts";
import { device } from "../tensor/mod.ts";
import { completionLogProbs } from "../train/grpo/log_probs.ts";
import { tokensPerSecond } from "./decode.ts";
import {
  CopiedLogProbs,
  type CorrectionKind,
  policyGradient,
  relativeError,
  type Windows,
} from "./policy_gradient.ts";
import type { Row } from "./report.ts";
import { best } from "./timing.ts";

/** Which model generates, and what it reads. */
export interface GenerationWeightsRequest {
  /** A Hugging Face folder, a GGUF or a llama2.c file. */
  readonly model: string;
  /** Its tokenizer, where it carries none. */
  readonly tokenizer: string | undefined;
  /** A file of text like that it was trained on. */
  readonly text: string;
}

const formats: readonly WeightFormat[] = ["f32", "bf16", "int8"];
const streams: readonly number[] = [1, 32, 64];
const corrections: readonly CorrectionKind[] = ["none", "tis", "icepop"];
const mostWindows = 64, gradientWindows = 16;

/** A figure of a format. */
type Figure = readonly [name: string, value: number, unit: string];

/** Rows `<format> <figure>`: all figures compare with the trainer's f32 on the same weights. */
export async function generationWeights(request: GenerationWeightsRequest): Promise<Row[]> {
  using source = openCheckpoint(request.model);
  const tokenizer = await openTokenizer(request.model, source, request.tokenizer);
  using decoder = Decoder.load(source, { dtype: "f32" });
  const ids = tokenizer.encode(Deno.readTextFileSync(request.text));
  const windows = windowsOf(ids, Math.min(128, decoder.context), tokenizer.special.bos);
  const right = policyGradient(decoder, null, windows.slice(0, gradientWindows), "none");
  const rows: Row[] = [];
  for (const format of formats) {
    const figures: readonly Figure[] = [
      ...effects(decoder, format, windows, right),
      ...await mismatch(decoder, format, windows),
      ...speed(decoder, format),
    ];
    rows.push(
      ...figures.map(([name, value, unit]) => ({ name: `${format} ${name}`, value, unit })),
    );
  }
  return rows;
}

/** What the copy says of texts, and where its samples lead. */
function effects(
  decoder: Decoder,
  format: WeightFormat,
  windows: Windows,
  right: Float32Array,
): Figure[] {
  using copy = new CopiedLogProbs(decoder, format);
  const few = windows.slice(0, gradientWindows);
  return [
    ["perplexity", copy.perplexity(windows), "per token"],
    ...corrections.map((kind): Figure => {
      const error = relativeError(policyGradient(decoder, copy, few, kind), right);
      return [`gradient bias, ${kind}`, 100 * error, "%"];
    }),
  ];
}

/** How fast it generates, and what it takes. */
function speed(decoder: Decoder, format: WeightFormat): Figure[] {
  const before = device().memory.inUse;
  const { context, spec: { vocab } } = decoder;
  using engine = new Engine(decoder, {
    weights: format,
    kvTokens: 64 * context,
    prefixReuse: false,
  });
  const bytes = device().memory.inUse - before - engine.metrics().kvBytes;
  return [
    ...tokensPerSecond(engine, vocab, streams)
      .map((value, i): Figure => [`s${streams[i]}`, value, "tok/s"]),
    ["weights", bytes / 1e6, "MB"],
    ["refresh", 1000 * best(() => engine.refresh(decoder)), "ms"],
  ];
}

/** The first pieces of a text, each begun as a text begins: [windows][length + 1]. */
function windowsOf(ids: readonly number[], length: number, bos: number | undefined): number[][] {
  const begin = bos === undefined ? [] : [bos], step = length + 1 - begin.length;
  const count = Math.min(mostWindows, Math.floor(ids.length / step));
  if (count < 1) {
    throw new RangeError(
      `generation-weights: the text is too short (${ids.length} vs ${step} tokens).`,
    );
  }
  return Array.from(
    { length: count },
    (_, i) => [...begin, ...ids.slice(i * step, (i + 1) * step)],
  );
}

/** How differently the same tokens look to the engine that drew them and to the trainer. */
async function mismatch(
  decoder: Decoder,
  format: WeightFormat,
  windows: Windows,
): Promise<Figure[]> {
  using engine = new Engine(decoder, { weights: format });
  const prompts = windows.map((window) => window.slice(0, 32));
  const completions = await engine.generate(prompts, {
    ...{ maxTokens: 64, temperature: 1, seed: 1, logProbs: true },
  });
  const whole = completions.map(({ prompt, ids }) => ({
    ids: Int32Array.from([...prompts[prompt], ...ids]),
    prompt: prompts[prompt].length,
  }));
  const trained = completionLogProbs(decoder, whole, { temperature: 1, tokensPerBatch: 4096 });
  // log π − log π_generated of each token
  const changes = completions.flatMap(({ logProbs }, i) =>
    logProbs.map((logProb, t) => trained[i][t] - logProb)
  );
  const mean = (of: (change: number) => number): number =>
    changes.reduce((sum, change) => sum + of(change), 0) / changes.length;
  return [
    ["mean |Δ|", 1000 * mean(Math.abs), "mnat"],
    [
      "max |Δ|",
      1000 * changes.reduce((most, change) => Math.max(most, Math.abs(change)), 0),
      "mnat",
    ],
    ["k3", 1000 * mean((change) => Math.expm1(change) - change), "mnat"],
    ["ratios beyond 0.8–1.25", 100 * mean((x) => Number(Math.abs(x) > Math.log(1.25))), "%"],
  ];
}
