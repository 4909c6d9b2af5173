import {
  type AttentionSpec,
  blockParameters,
  type BlockSpec,
  type DecoderSpec,
  type FfnSpec,
  parameters,
  type ParameterSpec,
} from "./spec.ts";

/** What one block costs. */
export interface BlockSummary {
  /** The block's place, from 0. */
  readonly index: number;
  /** The attention in words, such as `gqa 64/8`; `–` when the block has none. */
  readonly attention: string;
  /** The feed-forward part in words, such as `gated 28672`; `–` when the block has none. */
  readonly ffn: string;
  /** Numbers in its weights, norms included. */
  readonly parameters: number;
  /** Numbers that the KV cache holds per token: 2 · kvHeads · headDim. */
  readonly kvNumbersPerToken: number;
  /** Forward floating-point operations of one token, averaged over a sequence of the context. */
  readonly flopsPerToken: number;
}

/** What a decoder costs, counted from its spec alone. */
export interface Summary {
  /** Token ids. */
  readonly vocab: number;
  /** Size of the residual stream. */
  readonly dim: number;
  /** The sequence length that the FLOPs and the KV cache are given for, in tokens. */
  readonly context: number;
  /** Numbers in the weights. */
  readonly parameters: {
    readonly total: number;
    readonly embedding: number;
    /** 0 when the head is tied to the embedding. */
    readonly head: number;
    readonly blocks: number;
    /** The last norm. */
    readonly norm: number;
  };
  /** Blocks that have each part; identity blocks have none. */
  readonly counts: {
    readonly blocks: number;
    readonly attention: number;
    readonly ffn: number;
    readonly identity: number;
  };
  /** KV cache bytes of one token, by the cache's dtype. */
  readonly kvBytesPerToken: { readonly f32: number; readonly bf16: number };
  /** Floating-point operations per token; a multiply-add is two. */
  readonly flopsPerToken: {
    /** Forward, averaged over a causal sequence of `context` tokens. */
    readonly forward: number;
    /** Forward, of the token that ends such a sequence. */
    readonly decode: number;
    /** Forward and backward (3 × forward), as model FLOPs are counted. */
    readonly training: number;
  };
  /** Bytes. */
  readonly memory: {
    /** The parameters alone; int8 without its scales. */
    readonly weights: { readonly f32: number; readonly bf16: number; readonly int8: number };
    /**
     * f32 weights, gradients and both AdamW moments (16 bytes a parameter), and for bf16 the
     * compute copy too (18); without activations.
     */
    readonly training: { readonly f32: number; readonly bf16: number };
    /** The KV cache of one full sequence in bf16. */
    readonly kvCache: number;
  };
  /** Each block, in order. */
  readonly blocks: readonly BlockSummary[];
}

/**
 * Counts parameters, KV cache, FLOPs and memory of a decoder without allocating any of it.
 *
 * @param context the sequence length to count for; the spec's own by default
 *
 * @example
 * ```ts
 * import { type DecoderSpec, summarize } from "@denotron/denotron/nn";
 * import assert from "node:assert/strict";
 *
 * const spec: DecoderSpec = {
 *   vocab: 512, dim: 64, context: 512, headDim: 8, tied: true,
 *   norm: { kind: "rms_norm", eps: 1e-5 },
 *   rope: { theta: 10_000, fraction: 1, scaling: null },
 *   blocks: Array(5).fill({
 *     attention: { kind: "gqa", heads: 8, kvHeads: 4 },
 *     ffn: { kind: "gated", hidden: 172, activation: "silu" },
 *   }),
 * };
 * assert.equal(summarize(spec).parameters.total, 260_032);
 * ```
 */
export function summarize(spec: DecoderSpec, context: number = spec.context): Summary {
  const { vocab, dim } = spec;
  const blocks = spec.blocks.map((block, i) => summarizeBlock(spec, block, i, context));
  const total = count(parameters(spec));
  const inBlocks = sum(blocks, (block) => block.parameters);
  const embedding = vocab * dim;
  const head = spec.tied ? 0 : embedding;
  const kvNumbers = sum(blocks, (block) => block.kvNumbersPerToken);
  // A tied head multiplies as much as one of its own.
  const headFlops = 2 * embedding;
  const forward = headFlops + sum(blocks, (block) => block.flopsPerToken);
  const decode = headFlops + sum(spec.blocks, (b) => blockFlops(spec, b, lastTokenSees(context)));
  return {
    vocab,
    dim,
    context,
    parameters: {
      total,
      embedding,
      head,
      blocks: inBlocks,
      norm: total - inBlocks - embedding - head,
    },
    counts: {
      blocks: blocks.length,
      attention: spec.blocks.filter(({ attention }) => attention !== null).length,
      ffn: spec.blocks.filter(({ ffn }) => ffn !== null).length,
      identity: spec.blocks.filter(({ attention, ffn }) => attention === null && ffn === null)
        .length,
    },
    kvBytesPerToken: { f32: 4 * kvNumbers, bf16: 2 * kvNumbers },
    flopsPerToken: { forward, decode, training: 3 * forward },
    memory: {
      weights: { f32: 4 * total, bf16: 2 * total, int8: total },
      training: { f32: 16 * total, bf16: 18 * total },
      kvCache: sum(spec.blocks, (block) => 2 * kvNumbersHeld(spec, block, context)),
    },
    blocks,
  };
}

function summarizeBlock(
  spec: DecoderSpec,
  block: BlockSpec,
  index: number,
  context: number,
): BlockSummary {
  const { attention, ffn } = block;
  return {
    index,
    attention: words(attention),
    ffn: words(ffn),
    parameters: count(blockParameters(spec, block, "")),
    kvNumbersPerToken: attention?.kind === "gqa" ? 2 * attention.kvHeads * spec.headDim : 0,
    flopsPerToken: blockFlops(spec, block, averageTokenSees(context)),
  };
}

/** Tokens that attention reads, for a given window. */
type Sees = (window: number) => number;

function lastTokenSees(context: number): Sees {
  return (window) => Math.min(window, context);
}

/** The mean of min(position, window) over positions 1 to `context`. */
function averageTokenSees(context: number): Sees {
  return (window) => {
    const full = Math.min(window, context);
    return (full * (full + 1) / 2 + (context - full) * full) / context;
  };
}

/** 2 per weight of the linear layers, and 4 · heads · headDim per token that attention reads. */
function blockFlops(spec: DecoderSpec, block: BlockSpec, sees: Sees): number {
  const matrices = blockParameters(spec, block, "").filter(({ shape }) => shape.length === 2);
  const { attention } = block;
  const scores = attention?.kind === "gqa"
    ? 4 * attention.heads * spec.headDim * sees(attention.window ?? Infinity)
    : 0;
  return 2 * count(matrices) + scores;
}

/** A windowed layer never holds more than its window. */
function kvNumbersHeld(spec: DecoderSpec, { attention }: BlockSpec, context: number): number {
  if (attention?.kind !== "gqa") return 0;
  const tokens = Math.min(attention.window ?? context, context);
  return 2 * attention.kvHeads * spec.headDim * tokens;
}

function words(part: AttentionSpec | FfnSpec | null): string {
  switch (part?.kind) {
    case undefined:
      return "–";
    case "gqa":
      return `gqa ${part.heads}/${part.kvHeads}` +
        (part.window === undefined ? "" : ` window ${part.window}`);
    case "gated":
    case "relu2":
      return `${part.kind} ${part.hidden}`;
    case "linear":
      return "linear";
  }
}

function count(list: readonly ParameterSpec[]): number {
  return sum(list, ({ shape }) => shape.reduce((a, b) => a * b, 1));
}

function sum<T>(list: readonly T[], value: (item: T) => number): number {
  return list.reduce((total, item) => total + value(item), 0);
}

/** A summary as text for a terminal; runs of equal blocks share a line. */
export function formatSummary(summary: Summary): string {
  const { parameters, counts, kvBytesPerToken, flopsPerToken, memory, context } = summary;
  const rows = [
    ["parameters", `${short(parameters.total)} (${parameters.total.toLocaleString("en")})`],
    ["  embedding", short(parameters.embedding)],
    ["  blocks", short(parameters.blocks)],
    ["  head", parameters.head === 0 ? "tied" : short(parameters.head)],
    [
      "blocks",
      `${counts.blocks}: attention in ${counts.attention}, feed-forward in ${counts.ffn}, ` +
      `identity ${counts.identity}`,
    ],
    ["KV cache", `${bytes(kvBytesPerToken.bf16)} per token, ${bytes(memory.kvCache)} full (bf16)`],
    [
      "FLOPs/token",
      `${short(flopsPerToken.forward)} forward, ${short(flopsPerToken.decode)} decode, ` +
      `${short(flopsPerToken.training)} training, at ${context}`,
    ],
    [
      "weights",
      `${bytes(memory.weights.f32)} f32, ${bytes(memory.weights.bf16)} bf16, ` +
      `${bytes(memory.weights.int8)} int8`,
    ],
    [
      "training",
      `${bytes(memory.training.f32)} f32, ${bytes(memory.training.bf16)} bf16, ` +
      "without activations",
    ],
  ];
  const table = [["block", "attention", "ffn", "parameters", "KV/token", "FLOPs/token"]];
  for (const [first, last] of runs(summary.blocks)) {
    const block = summary.blocks[first];
    table.push([
      first === last ? `${first}` : `${first}–${last}`,
      block.attention,
      block.ffn,
      short(block.parameters),
      bytes(2 * block.kvNumbersPerToken),
      short(block.flopsPerToken),
    ]);
  }
  return [...align(rows), "", ...align(table)].join("\n");
}

/** First and last index of each run of blocks that cost the same. */
function runs(blocks: readonly BlockSummary[]): [number, number][] {
  const found: [number, number][] = [];
  const alike = (a: BlockSummary, b: BlockSummary) =>
    a.attention === b.attention && a.ffn === b.ffn && a.parameters === b.parameters;
  blocks.forEach((block, i) => {
    if (i > 0 && alike(block, blocks[i - 1])) found.at(-1)![1] = i;
    else found.push([i, i]);
  });
  return found;
}

function align(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i])).join("  ").trimEnd());
}

/** 49867145216 as "49.867 B"; powers of 1000. */
function short(value: number): string {
  const [scale, unit] = ([[1e12, " T"], [1e9, " B"], [1e6, " M"], [1e3, " K"]] as const)
    .find(([size]) => value >= size) ?? [1, ""];
  return `${scale === 1 ? value : (value / scale).toFixed(3)}${unit}`;
}

/** Powers of 1024. */
function bytes(value: number): string {
  const [scale, unit] =
    ([[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]] as const)
      .find(([size]) => value >= size) ?? [1, "B"];
  return `${scale === 1 ? value : (value / scale).toFixed(2)} ${unit}`;
}
