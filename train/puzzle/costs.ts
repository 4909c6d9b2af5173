/**
 * What the parts of a model cost, measured on this machine.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import {
  type AttentionSpec,
  blockKey,
  blockParameters,
  type BlockSpec,
  type DecoderSpec,
  type FfnSpec,
  parameters,
} from "../../nn/mod.ts";
import { bytesOf, device } from "../../tensor/mod.ts";
import { writeAtomically } from "../../tensor/safetensors.ts";
import { type DecodePath, measureTimes } from "./measure.ts";
import { addCosts, type BatchTime, type Cost, type Scenario } from "./space.ts";
import type { BlockVariants } from "./variants.ts";

/** What costs were measured on. */
export interface Hardware {
  /** The processor's name. */
  readonly cpu: string;
  /** Its instruction set. */
  readonly arch: string;
  /** Threads that computed. */
  readonly threads: number;
  /** What was computed in. */
  readonly dtype: "f32" | "bf16";
  /** How decoding was run. */
  readonly path: string;
}

/** Measured costs. */
export interface CostTable {
  /** On what. */
  readonly hardware: Hardware;
  /** For what. */
  readonly scenario: Scenario;
  /** Of the embedding, the last norm and the head. */
  readonly base: Cost;
  /** Of one part, by `partKey()`. */
  readonly parts: ReadonlyMap<string, Cost>;
}

/** How costs are measured. */
export interface MeasureOptions {
  /** How decoding is run: as it will be. */
  readonly path: DecodePath;
  /** What parts compute in; f32 by default. */
  readonly dtype?: "f32" | "bf16";
  /** Copies of a part in the model that is timed: as many as the parent has blocks, but 10 at most, by default. */
  readonly copies?: number;
  /** Times that everything is measured, one after the other; the least figure counts. 9 by default. */
  readonly rounds?: number;
}

/** Tells parts apart that cost differently. */
export function partKey(kind: "attention" | "ffn", part: AttentionSpec | FfnSpec | null): string {
  return blockKey(alone(kind, part));
}

function alone(kind: "attention" | "ffn", part: AttentionSpec | FfnSpec | null): BlockSpec {
  return kind === "attention"
    ? { attention: part as AttentionSpec | null, ffn: null }
    : { attention: null, ffn: part as FfnSpec | null };
}

/** This machine. */
export function hardwareOf({ path, dtype = "f32" }: MeasureOptions): Hardware {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    arch: Deno.build.arch,
    threads: device().threads,
    dtype,
    path: path.name,
  };
}

/**
 * Times every part that some variant has: (t(model of n copies) − t(model without blocks)) / n, prefill and decode, for
 * each batch size. All models take turns, round after round, so that whatever else the machine does falls on all of them,
 * and the least of the rounds' figures counts. With as many copies as the parent has blocks, keys and values lie as near
 * in the caches as they will.
 *
 * Source: Bercovich et al., "Puzzle", 2024, section 3.3, and `calc_runtime_stats.py` of NVIDIA's Model-Optimizer.
 */
export async function measureCosts(
  spec: DecoderSpec,
  variants: readonly BlockVariants[],
  scenario: Scenario,
  options: MeasureOptions,
): Promise<CostTable> {
  const { copies = Math.min(10, spec.blocks.length) } = options, blocks = distinctParts(variants);
  const empty: BlockSpec = { attention: null, ffn: null };
  const models = [empty, ...blocks.values()].map((block): DecoderSpec => ({
    ...spec,
    context: Math.max(spec.context, scenario.promptTokens + scenario.newTokens),
    blocks: Array.from({ length: block === empty ? 1 : copies }, () => block),
  }));
  const rounds = await measureTimes(models, scenario, options);
  const places = [...blocks.keys()];
  return tabulateCosts(
    { spec, variants, scenario, hardware: hardwareOf(options) },
    (key, batch) =>
      partTime(
        rounds,
        key === null ? 0 : places.indexOf(key) + 1,
        scenario.batchSizes.indexOf(batch),
        copies,
      ),
  );
}

/** What a table of costs is of. */
export interface CostSubject {
  /** The parent. */
  readonly spec: DecoderSpec;
  /** What its blocks may have. */
  readonly variants: readonly BlockVariants[];
  /** For what. */
  readonly scenario: Scenario;
  /** On what. */
  readonly hardware: Hardware;
}

/** Costs of every part that some variant has, whose times are told by `partKey()`; those of the model without blocks by null. */
export function tabulateCosts(
  { spec, variants, scenario, hardware }: CostSubject,
  time: (key: string | null, batch: number, block: BlockSpec) => BatchTime,
): CostTable {
  const bytes = bytesOf(hardware.dtype), empty: BlockSpec = { attention: null, ffn: null };
  const times = (told: (batch: number) => BatchTime): Map<number, BatchTime> =>
    new Map(scenario.batchSizes.map((batch) => [batch, told(batch)]));
  const outside = countOf(parameters({ ...spec, blocks: [] }));
  const base = costOf(outside, bytes, 0, false, times((batch) => time(null, batch, empty)));
  const parts = distinctParts(variants).entries().map(([key, block]): [string, Cost] => {
    const { attention } = block, isAttention = attention?.kind === "gqa";
    const kv = isAttention ? 2 * attention.kvHeads * spec.headDim * bytes : 0;
    const count = countOf(blockParameters(spec, block, ""));
    const own = times((batch) => time(key, batch, block));
    return [key, costOf(count, bytes, kv, isAttention, own)];
  });
  const none = costOf(0, bytes, 0, false, times(() => ({ prefill: 0, decode: 0 })));
  return { hardware, scenario, base, parts: new Map([[blockKey(empty), none], ...parts]) };
}

/** The different parts of all variants, each as a block of its own. */
function distinctParts(variants: readonly BlockVariants[]): Map<string, BlockSpec> {
  const found = new Map<string, BlockSpec>();
  for (const own of variants) {
    for (const kind of ["attention", "ffn"] as const) {
      for (const { part } of own[kind]) {
        if (part !== null) found.set(partKey(kind, part), alone(kind, part));
      }
    }
  }
  return found;
}

/**
 * What one copy of a part adds to the model without blocks, which is the first; that one's own time. Whatever else the
 * machine does makes single figures larger, never smaller, so the least of all rounds counts.
 */
function partTime(
  rounds: readonly (readonly (readonly BatchTime[])[])[],
  model: number,
  batch: number,
  copies: number,
): BatchTime {
  const least = (of: number, value: (time: BatchTime) => number): number =>
    Math.min(...rounds.map((round) => value(round[of][batch])));
  const time = (value: (time: BatchTime) => number): number => {
    if (model === 0) return least(0, value);
    // Noise may make a part that costs next to nothing cost less than that.
    return Math.max(0, (least(model, value) - least(0, value)) / copies);
  };
  return { prefill: time(({ prefill }) => prefill), decode: time(({ decode }) => decode) };
}

function costOf(
  count: number,
  bytes: number,
  kvBytesPerToken: number,
  isAttention: boolean,
  times: ReadonlyMap<number, BatchTime>,
): Cost {
  const attention = isAttention ? 1 : 0;
  return { parameters: count, weightBytes: count * bytes, kvBytesPerToken, attention, times };
}

function countOf(list: readonly { readonly shape: readonly number[] }[]): number {
  return list.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

/** What a block costs: its parts together. */
export function blockCost({ parts }: CostTable, { attention, ffn }: BlockSpec): Cost {
  const of = (key: string): Cost => {
    const found = parts.get(key);
    if (found) return found;
    throw new RangeError(`puzzle: the cost of "${key}" was not measured. Measure costs again.`);
  };
  return addCosts([of(partKey("attention", attention)), of(partKey("ffn", ffn))]);
}

/** Writes costs, with what they were measured on. */
export function writeCosts(path: string, { hardware, scenario, base, parts }: CostTable): void {
  const plain = (cost: Cost) => ({ ...cost, times: Object.fromEntries(cost.times) });
  const json = {
    hardware,
    scenario,
    base: plain(base),
    parts: Object.fromEntries(parts.entries().map(([key, cost]) => [key, plain(cost)])),
  };
  const bytes = new TextEncoder().encode(JSON.stringify(json, null, 2) + "\n");
  writeAtomically(path, (write) => write(bytes));
}

/**
 * Reads costs that were measured for `scenario` on `hardware`. Null, with the reason told to `warn`, when they are missing
 * or of something else: then they have to be measured again.
 */
export function readCosts(
  path: string,
  hardware: Hardware,
  scenario: Scenario,
  warn: (text: string) => void,
): CostTable | null {
  if (!existsSync(path)) return null;
  const stored = JSON.parse(readFileSync(path, "utf8")) as StoredCosts;
  for (
    const [what, now, then] of [
      ["hardware", hardware, stored.hardware],
      ["use", scenario, stored.scenario],
    ]
  ) {
    if (JSON.stringify(now) === JSON.stringify(then)) continue;
    warn(
      `puzzle: ${path} was measured for other ${what}, ${JSON.stringify(then)} ` +
        `(now ${JSON.stringify(now)}). Costs are measured again.`,
    );
    return null;
  }
  const cost = (plain: StoredCost): Cost => ({
    ...plain,
    times: new Map(Object.entries(plain.times).map(([batch, time]) => [Number(batch), time])),
  });
  const parts = Object.entries(stored.parts).map(([key, plain]) => [key, cost(plain)] as const);
  return { ...stored, base: cost(stored.base), parts: new Map(parts) };
}

interface StoredCost extends Omit<Cost, "times"> {
  readonly times: Readonly<Record<string, BatchTime>>;
}

interface StoredCosts extends Omit<CostTable, "base" | "parts"> {
  readonly base: StoredCost;
  readonly parts: Readonly<Record<string, StoredCost>>;
}
