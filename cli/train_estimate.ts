/**
 * `--dry-run` of one stage: what it would cost.
 *
 * @module
 */
import { type Estimate, estimate, measureSpeed } from "../train/jobs/estimate.ts";
import type { JobModel, TokenJob, TokenJobConfig } from "../train/jobs/token_job.ts";
import { succeeded } from "./errors.ts";
import { formatBytes } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import { count, duration } from "./training_view.ts";

/** Measures a few steps, whose result is thrown away, and says what the whole run takes; returns the exit code. */
export async function showEstimate(
  { config }: TokenJobConfig,
  job: TokenJob,
  { decoder }: JobModel,
  json: boolean,
  terminal: Terminal,
): Promise<number> {
  const trained = decoder.arenas().flatMap((arena) => arena.trainable())
    .reduce((sum, { start, end }) => sum + end - start, 0);
  const all = decoder.weights().values().reduce((sum, { size }) => sum + size, 0);
  const cost = estimate({
    spec: decoder.spec,
    dtype: config.dtype,
    trained,
    frozen: job.lora === null ? 0 : all,
    context: job.context,
    batchTokens: config.batchTokens,
    microTokens: Math.ceil(config.batchTokens / config.microBatches),
    steps: job.options.steps,
    epochTokens: job.data.epochTokens,
    averages: config.averageDecay !== undefined,
    tokensPerSecond: await measureSpeed(job),
  });
  terminal.write(lines(cost));
  if (json) terminal.write(JSON.stringify(cost) + "\n");
  return succeeded;
}

function lines(cost: Estimate): string {
  const { memory: { total, ...parts }, tokensPerSecond, seconds } = cost;
  const memory = Object.entries(parts).map(([name, bytes]) => `${name} ${formatBytes(bytes)}`);
  const share = cost.trained === cost.parameters ? "" : `, ${count(cost.trained)} of them train`;
  const epochs = cost.epochs === null ? "" : `, ${Number(cost.epochs.toPrecision(3))} epochs`;
  const rows = [
    ["parameters", count(cost.parameters) + share],
    ["steps", `${cost.steps}, ${count(cost.tokens)} tokens${epochs}`],
    ["memory", `${formatBytes(total)}: ${memory.join(", ")}`],
    ["FLOPs", cost.flops.toExponential(2)],
    [
      "speed",
      tokensPerSecond === null ? "unknown" : `${count(tokensPerSecond)} tokens/s, measured`,
    ],
    ["time", seconds === null ? "unknown" : `${duration(seconds)}, without evaluations`],
  ];
  return rows.map(([name, text]) => `  ${name.padEnd(12)}${text}\n`).join("");
}
