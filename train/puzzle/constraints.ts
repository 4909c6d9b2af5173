/**
 * Limits that an architecture must keep, and the linear rows that they are for a solver.
 *
 * @module
 */
import {
  type Architecture,
  type Cost,
  parentArchitecture,
  type SearchSpace,
  totalCost,
} from "./space.ts";

/** What can be limited. */
export type Quantity =
  | "throughput"
  | "decode"
  | "latency"
  | "ttft"
  | "memory"
  | "kv-tokens"
  | "parameters"
  | "attention";

/** A limit of one quantity. */
export interface Constraint {
  /** What is limited. */
  readonly quantity: Quantity;
  /** The least; absent where there is none. */
  readonly min?: number;
  /** The most; absent where there is none. */
  readonly max?: number;
  /** Whether `min` and `max` are multiples of what the parent has; false when absent. */
  readonly relative?: boolean;
}

/** What a quantity is, in words; and whether more of it is better. */
export const quantities: Readonly<
  Record<Quantity, { readonly unit: string; readonly more: boolean; readonly help: string }>
> = {
  "throughput": { unit: "tok/s", more: true, help: "new tokens per second, prompts included" },
  "decode": { unit: "tok/s", more: true, help: "new tokens per second after the prompts" },
  "latency": { unit: "s", more: false, help: "seconds to answer a batch, prompts included" },
  "ttft": { unit: "s", more: false, help: "seconds to the first token" },
  "memory": { unit: "bytes", more: false, help: "weights and the KV cache of the whole batch" },
  "kv-tokens": { unit: "tokens", more: true, help: "tokens that fit into the memory limit" },
  "parameters": { unit: "", more: false, help: "numbers in the weights" },
  "attention": { unit: "layers", more: false, help: "layers with attention" },
};

/** Thrown for a constraint that cannot be read, or that needs another one. */
export class ConstraintError extends Error {
  /** The class's name. */
  override readonly name = "ConstraintError";
}

/**
 * Reads `throughput=1.5x`, `latency=0.2`, `memory=300MB`, `kv-tokens=1000`, `attention=2..4`: the least of what is better
 * large, the most of what is better small, or a range. An `x` at the end means a multiple of the parent's.
 * Throws ConstraintError for anything else.
 *
 * @example
 * ```ts
 * import { parseConstraint } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(parseConstraint("throughput=1.5x"), {
 *   quantity: "throughput", min: 1.5, relative: true,
 * });
 * assert.deepEqual(parseConstraint("attention=2..4"), { quantity: "attention", min: 2, max: 4 });
 * ```
 */
export function parseConstraint(text: string): Constraint {
  const [, name, low, high, relative] =
    /^([a-z-]+)=(\d*\.?\d+[KMGT]?i?B?)?(?:\.\.(\d*\.?\d+[KMGT]?i?B?))?(x)?$/.exec(text) ?? [];
  const quantity = (Object.keys(quantities) as Quantity[]).find((known) => known === name);
  const [from, to] = [readNumber(low), readNumber(high)];
  if (
    quantity === undefined || (from === undefined && to === undefined) ||
    isNaN((from ?? 0) + (to ?? 0))
  ) {
    throw new ConstraintError(
      `constraint: "${text}" is not one. Write quantity=number, with one of ${
        Object.keys(quantities).join(", ")
      }, such as throughput=1.5x, memory=300MB or attention=2..4.`,
    );
  }
  const isRange = text.includes("..");
  const least = isRange || quantities[quantity].more ? from : undefined;
  const most = isRange ? to : quantities[quantity].more ? undefined : from;
  return {
    quantity,
    ...(least === undefined ? {} : { min: least }),
    ...(most === undefined ? {} : { max: most }),
    ...(relative ? { relative: true } : {}),
  };
}

/** 300MB, 1.5GiB or a plain number; undefined for nothing, NaN for anything else. */
function readNumber(written: string | undefined): number | undefined {
  if (written === undefined) return undefined;
  const [, number, unit, binary] = /^(\d*\.?\d+)([KMGT]?)(i?)B?$/.exec(written) ?? [];
  return Number(number) * (binary ? 1024 : 1000) ** " KMGT".indexOf(unit || " ");
}

/** Everything that can be limited, of one architecture at one batch size. */
export function quantitiesOf(
  space: SearchSpace,
  architecture: Architecture,
  batch: number,
  memoryLimit: number | null = null,
): Record<Quantity, number> {
  const cost = totalCost(space, architecture), { prefill, decode } = cost.times.get(batch)!;
  const { promptTokens, newTokens } = space.scenario;
  const latency = prefill + newTokens * decode;
  return {
    throughput: batch * newTokens / latency,
    decode: batch / decode,
    latency,
    ttft: prefill,
    memory: cost.weightBytes + batch * (promptTokens + newTokens) * cost.kvBytesPerToken,
    "kv-tokens": memoryLimit === null
      ? batch * (promptTokens + newTokens)
      : (memoryLimit - cost.weightBytes) / cost.kvBytesPerToken,
    parameters: cost.parameters,
    attention: cost.attention,
  };
}

/** Constraints in plain numbers: multiples are of the parent's quantities at the largest batch. Throws ConstraintError. */
export function resolveConstraints(
  space: SearchSpace,
  constraints: readonly Constraint[],
): Constraint[] {
  const reference = Math.max(...space.scenario.batchSizes);
  const parent = quantitiesOf(space, parentArchitecture(space), reference);
  const memory = constraints.find(({ quantity }) => quantity === "memory");
  return constraints.map((constraint) => {
    const { quantity, min, max, relative } = constraint;
    if (quantity === "kv-tokens" && memory?.max === undefined) {
      throw new ConstraintError(
        `constraint: kv-tokens are those that fit into a memory. Add memory=…, such as memory=300MB.`,
      );
    }
    if (!relative) return constraint;
    const scaled = (value: number): number => value * parent[quantity];
    return {
      quantity,
      ...(min === undefined ? {} : { min: scaled(min) }),
      ...(max === undefined ? {} : { max: scaled(max) }),
    };
  });
}

/** min ≤ Σ of the coefficients of what is chosen ≤ max. */
export interface Limit {
  /** By block and choice. */
  readonly coefficients: readonly (readonly number[])[];
  /** The least sum of coefficients. */
  readonly min: number;
  /** The most. */
  readonly max: number;
}

/** What a constraint limits at one batch size, scaled so that the limit is about 1. */
export interface Row extends Limit {
  /** What it comes from. */
  readonly constraint: Constraint;
}

/** The rows of resolved constraints at one batch size. */
export function rowsOf(
  space: SearchSpace,
  constraints: readonly Constraint[],
  batch: number,
): Row[] {
  const memoryLimit = constraints.find(({ quantity }) => quantity === "memory")?.max ?? null;
  return constraints.map((constraint) => {
    const { value, min, max } = linearForm(space, constraint, batch, memoryLimit);
    const scale = Math.max(...[min, max].filter(Number.isFinite).map(Math.abs)) || 1;
    const constant = value(space.base) / scale;
    return {
      constraint,
      coefficients: space.layers.map((options) => options.map(({ cost }) => value(cost) / scale)),
      min: min / scale - constant,
      max: max / scale - constant,
    };
  });
}

interface LinearForm {
  readonly value: (cost: Cost) => number;
  readonly min: number;
  readonly max: number;
}

/** Rates become times: batch · newTokens / time ≥ rate exactly when time ≤ batch · newTokens / rate. */
function linearForm(
  { scenario }: SearchSpace,
  { quantity, min = -Infinity, max = Infinity }: Constraint,
  batch: number,
  memoryLimit: number | null,
): LinearForm {
  const { promptTokens, newTokens } = scenario;
  const time = (cost: Cost) => cost.times.get(batch)!;
  const latency = (cost: Cost): number => time(cost).prefill + newTokens * time(cost).decode;
  const inverted = (amount: number) => ({
    min: max === Infinity ? -Infinity : amount / max,
    max: min === -Infinity ? Infinity : amount / min,
  });
  switch (quantity) {
    case "throughput":
      return { value: latency, ...inverted(batch * newTokens) };
    case "decode":
      return { value: (cost) => time(cost).decode, ...inverted(batch) };
    case "latency":
      return { value: latency, min, max };
    case "ttft":
      return { value: (cost) => time(cost).prefill, min, max };
    case "memory": {
      const tokens = batch * (promptTokens + newTokens);
      return { value: (cost) => cost.weightBytes + tokens * cost.kvBytesPerToken, min, max };
    }
    case "kv-tokens":
      return {
        value: (cost) => cost.weightBytes + min * cost.kvBytesPerToken,
        min: -Infinity,
        max: memoryLimit!,
      };
    case "parameters":
      return { value: (cost) => cost.parameters, min, max };
    case "attention":
      return { value: (cost) => cost.attention, min, max };
  }
}

/** Relative slack that sums of rounded numbers get. */
const tolerance = 1e-9;

/** By how much an architecture breaks a limit; 0 when it keeps it. */
export function violation({ coefficients, min, max }: Limit, architecture: Architecture): number {
  const sum = architecture.reduce((total, j, i) => total + coefficients[i][j], 0);
  const over = Math.max(min - sum, sum - max, 0);
  return over <= tolerance * Math.max(1, Math.abs(sum)) ? 0 : over;
}
