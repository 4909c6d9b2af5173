/**
 * `report.json`: what the recipe did, for people and programs.
 *
 * @module
 */
import type { Json } from "../stage.ts";
import type { StageReport } from "./context.ts";

/** What the whole recipe measured. */
export function reportOf(stages: readonly StageReport[]): Json {
  const metrics = (name: string): StageReport["metrics"] =>
    stages.find((stage) => stage.name === name)?.metrics ?? {};
  const pick = (name: string, keys: readonly string[]): Json =>
    Object.fromEntries(keys.map((key) => [key, metrics(name)[key] ?? null]));
  return {
    seconds: stages.reduce((sum, { seconds }) => sum + seconds, 0),
    stages: stages.map(({ name, seconds, tokens, metrics }) => ({
      name,
      seconds,
      tokens,
      metrics,
    })),
    parent: {
      ...pick("pretrain", ["parameters", "loss", "kvBytesPerToken"]) as Record<string, Json>,
      decodeTokensPerSecond: metrics("evaluation").decodeTokensPerSecond ?? null,
    },
    sft: pick("evaluation", ["accuracyOn", "accuracyOff", "formatOn", "formatOff"]),
  };
}
