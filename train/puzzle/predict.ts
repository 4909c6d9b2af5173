/**
 * What a search will find, before anything is trained or measured.
 *
 * @module
 */
import { type BlockSpec, type DecoderSpec, summarize } from "../../nn/mod.ts";
import type { Constraint } from "./constraints.ts";
import { blockCost, type CostTable, type Hardware, tabulateCosts } from "./costs.ts";
import { InfeasibleError, search } from "./mip.ts";
import { choicesAt, realisedSpec } from "./realise.ts";
import type { BatchTime, Scenario } from "./space.ts";
import {
  type BlockVariants,
  blockVariants,
  choiceName,
  choicesOf,
  chosenBlock,
  type VariantOptions,
} from "./variants.ts";

/** The most that a device does in a second. */
export interface DeviceRates {
  /** Floating-point operations. */
  readonly flops: number;
  /** Bytes that are read from memory. */
  readonly bytes: number;
}

/** What decides a search, but for the scores. */
export interface PredictionOptions {
  readonly variants: VariantOptions;
  readonly scenario: Scenario;
  readonly constraints: readonly Constraint[];
  readonly dtype: "f32" | "bf16";
  readonly rates: DeviceRates;
}

/**
 * The largest architecture within the limits, by costs that are counted and not measured: a step takes as long as its
 * operations or as what it reads, whichever is longer (Williams et al., "Roofline", 2009). Which blocks a search will
 * change only scores can tell; the size of what it finds is about this. Null where no architecture keeps the limits.
 */
export async function predictChild(
  spec: DecoderSpec,
  { variants: offered, scenario, constraints, dtype, rates }: PredictionOptions,
): Promise<DecoderSpec | null> {
  const variants = blockVariants(spec, offered);
  const costs = countedCosts(spec, variants, scenario, { dtype, rates });
  const layers = variants.map((own) =>
    choicesOf(own).map((choice) => {
      const cost = blockCost(costs, chosenBlock(own, choice));
      return { name: choiceName(choice), score: -cost.parameters, cost };
    })
  );
  try {
    const [{ architecture }] = await search({ layers, base: costs.base, scenario }, {
      constraints,
    });
    return realisedSpec({ spec, variants }, choicesAt(variants, architecture));
  } catch (error) {
    if (error instanceof InfeasibleError) return null;
    throw error;
  }
}

function countedCosts(
  spec: DecoderSpec,
  variants: readonly BlockVariants[],
  scenario: Scenario,
  { dtype, rates }: Pick<PredictionOptions, "dtype" | "rates">,
): CostTable {
  const { promptTokens, newTokens } = scenario, width = dtype === "f32" ? 4 : 2;
  const hardware: Hardware = {
    cpu: "counted",
    arch: "counted",
    threads: 1,
    dtype,
    path: "counted",
  };
  const time = (key: string | null, batch: number, block: BlockSpec): BatchTime => {
    const { parameters, kvBytesPerToken, flopsPerToken } = summarize(
      { ...spec, blocks: key === null ? [] : [block] },
      promptTokens + newTokens,
    );
    const outside = key === null ? null : summarize({ ...spec, blocks: [] });
    const flops = flopsPerToken.forward - (outside?.flopsPerToken.forward ?? 0);
    const weights = width * (parameters.total - (outside?.parameters.total ?? 0));
    const held = kvBytesPerToken[dtype] * (promptTokens + newTokens / 2);
    const seconds = (tokens: number, bytes: number): number =>
      Math.max(tokens * flops / rates.flops, bytes / rates.bytes);
    return {
      prefill: seconds(batch * promptTokens, weights),
      decode: seconds(batch, weights + batch * held),
    };
  };
  return tabulateCosts({ spec, variants, scenario, hardware }, time);
}
