/**
 * How often a model answers each prompt right.
 *
 * @module
 */
import { appendFileSync, mkdirSync, readFileSync, truncateSync } from "node:fs";
import { dirname } from "node:path";
import { DataError } from "../data/errors.ts";
import { seedOf } from "../generator.ts";
import type { RewardRow } from "../rewards/mod.ts";
import type { Rated } from "./curriculum.ts";
import { sampleGroups, type SamplingOptions } from "./rollout.ts";

/** How pass rates are measured. */
export interface PassRateOptions extends SamplingOptions {
  /** A JSONL file that keeps what is known; a measurement that was interrupted goes on from it. */
  readonly path: string;
  /** Prompts that are answered at once; 64 by default. */
  readonly batch?: number;
  /** Decides what is drawn; 0 by default. */
  readonly seed?: number;
  /** Told how many prompts are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What the file says first: results of other settings are of no use. */
interface Header {
  readonly rows: number;
  readonly samples: number;
  readonly seed: number;
  readonly batch: number;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP: number;
}

/**
 * The share of completions with a reward above 0.5, for each row, from the model that `generate` asks (8 samples in
 * Llama-Nemotron). Throws DataError where the file has results of other settings.
 */
export async function measurePassRates<Row extends RewardRow>(
  rows: readonly Row[],
  options: PassRateOptions,
): Promise<Rated<Row>[]> {
  const { path, batch = 64, seed = 0, samples, maxTokens, temperature, topP } = options;
  const header = { rows: rows.length, samples, seed, batch, maxTokens, temperature, topP };
  const rates = resume(path, header);
  for (let start = rates.length; start < rows.length; start += batch) {
    const part = rows.slice(start, start + batch);
    const groups = await sampleGroups(part, seedOf(seed, "pass rate", start), options);
    const found = groups.map(({ completions }) =>
      completions.filter(({ reward }) => reward > 0.5).length / samples
    );
    append(path, found.map((pass_rate, i) => ({ row: start + i, pass_rate, samples })));
    rates.push(...found);
    options.onProgress?.(rates.length, rows.length);
  }
  return rows.map((row, i) => ({ row, passRate: rates[i] }));
}

/** Rates that the file has, cut to whole batches; an empty file is begun. */
function resume(path: string, header: Header): number[] {
  const text = readIfThere(path), lines = text.split("\n");
  lines.pop(); // a line that was cut, or nothing
  if (lines.length === 0) {
    mkdirSync(dirname(path), { recursive: true });
    if (text !== "") truncateSync(path);
    append(path, [header]);
    return [];
  }
  const expected = JSON.stringify(header);
  if (lines[0] !== expected) {
    throw new DataError(
      `pass rates: ${path} was measured with other settings, ${lines[0]} (${expected}). ` +
        "Choose another file, or delete it.",
    );
  }
  const measured = lines.length - 1;
  const kept = measured === header.rows ? measured : measured - measured % header.batch;
  const whole = lines.slice(0, 1 + kept).map((line) => `${line}\n`).join("");
  truncateSync(path, new TextEncoder().encode(whole).length);
  return lines.slice(1, 1 + kept).map((line) => JSON.parse(line).pass_rate);
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return "";
    throw error;
  }
}

function append(path: string, lines: readonly object[]): void {
  appendFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
}
