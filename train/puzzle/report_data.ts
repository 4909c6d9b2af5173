/**
 * What a search leaves to be read.
 *
 * @module
 */
import type { DecoderSpec } from "../../nn/mod.ts";
import type { Distance } from "../compare.ts";
import type { BaselineName } from "./choose.ts";
import type { Constraint, Quantity } from "./constraints.ts";
import type { Hardware } from "./costs.ts";
import type { EntryFigures, LibraryEntry } from "./library.ts";
import type { Scenario } from "./space.ts";

/** A model of the search: the parent, the child, or what became of it. */
export interface ModelFigures extends Distance {
  /** Such as `parent`, `child`, `fused`, `distilled`. */
  readonly name: string;
  /** Its architecture. */
  readonly spec: DecoderSpec;
  /** Numbers in its weights. */
  readonly parameters: number;
  /** Bytes that its KV cache holds for one token. */
  readonly kvBytesPerToken: number;
  /** Measured: seconds to read a batch of prompts; null for models that were not timed. */
  readonly prefillSeconds: number | null;
  /** Measured: tokens per second of a full batch after the prompts. */
  readonly decodeTokensPerSecond: number | null;
}

/** Architectures that something else than the search chose. */
export interface BaselineFigures extends Distance {
  /** What chose it. */
  readonly name: BaselineName;
  /** The sum of scores; null where nothing kept the limits. */
  readonly score: number;
  /** Each block's choice, by name. */
  readonly choices: readonly string[];
}

/** A solution of the program. */
export interface CandidateFigures {
  /** Each block's choice, by name. */
  readonly choices: readonly string[];
  /** The sum of scores. */
  readonly score: number;
  /** What its realised model loses on calibration text; null where it was the only one. */
  readonly measured: number | null;
}

/** A point of the Pareto sweep. */
export interface ParetoPoint {
  /** The quantity's value. */
  readonly value: number;
  /** The predicted loss. */
  readonly score: number;
  /** Each block's choice, by name. */
  readonly choices: readonly string[];
}

/** `report.json`. */
export interface PuzzleReport {
  /** What was asked for, in plain numbers. */
  readonly constraints: readonly Constraint[];
  /** How the model is used. */
  readonly scenario: Scenario;
  /** What costs were measured on. */
  readonly hardware: Hardware;
  /** Which score was added up. */
  readonly score: string;
  /** The batch size that was chosen. */
  readonly batch: number;
  /** Each block's choice, by name. */
  readonly choices: readonly string[];
  /** The sum of scores of what was chosen. */
  readonly predictedScore: number;
  /** What was predicted of the parent and of the child, by the measured costs of their parts. */
  readonly predicted: Readonly<Record<"parent" | "child", Readonly<Record<Quantity, number>>>>;
  /** All that were considered; the first was chosen. */
  readonly candidates: readonly CandidateFigures[];
  /** From the parent to the last stage. */
  readonly models: readonly ModelFigures[];
  /** What simpler ways chose. */
  readonly baselines: readonly BaselineFigures[];
  /** Which feed-forward parts became one, by the child's blocks; and how much they depend on each other. */
  readonly fusion: {
    readonly groups: readonly (readonly number[])[];
    readonly dependency: readonly (readonly number[])[];
  } | null;
  /** What is lost for what is gained. */
  readonly pareto: { readonly quantity: Quantity; readonly points: readonly ParetoPoint[] };
  /** Held-out errors of the library's entries. */
  readonly library: readonly (Pick<LibraryEntry, "layer" | "kind" | "name"> & EntryFigures)[];
  /** Seconds of each part of the run. */
  readonly seconds: Readonly<Record<string, number>>;
}
