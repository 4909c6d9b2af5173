/**
 * `report.json`: what the recipe did, for people and programs.
 *
 * @module
 */
import type { Json } from "../stage.ts";
import type { ReportFigures } from "./claims.ts";
import type { StageReport } from "./context.ts";

/** What the whole recipe measured. */
export function reportOf(stages: readonly StageReport[]): ReportFigures {
  const metrics = (name: string): StageReport["metrics"] =>
    stages.find((stage) => stage.name === name)?.metrics ?? {};
  const pick = (from: Json | undefined, ...keys: readonly string[]): Record<string, Json> => {
    const values = (from ?? {}) as Readonly<Record<string, Json>>;
    return Object.fromEntries(keys.map((key) => [key, values[key] ?? null]));
  };
  const { parent, child, sft, grpo } = metrics("evaluation");
  const { accuracyOn: accuracyBefore } = pick(sft, "accuracyOn");
  const { accuracyOn: accuracyAfter, ...formats } = pick(
    grpo,
    "accuracyOn",
    "formatOn",
    "formatOff",
  );
  const sizes = ["parameters", "decodeTokensPerSecond", "kvBytesPerToken"] as const;
  const report = {
    seconds: stages.reduce((sum, { seconds }) => sum + seconds, 0),
    stages: stages.map(({ name, seconds, tokens, metrics }) => ({
      name,
      seconds,
      tokens,
      metrics,
    })),
    parent: {
      ...pick(
        metrics("pretrain").loss === undefined ? metrics("parent") : metrics("pretrain"),
        "loss",
      ),
      ...pick(parent, ...sizes),
    },
    child: { loss: metrics("cpt").lossAfter ?? null, ...pick(child, ...sizes) },
    baselines: {
      mip: pick(metrics("puzzle"), "kl", "loss"),
      ...pick(metrics("puzzle").baselines, "greedy", "random", "parameterMaximising"),
    },
    distill: pick(metrics("distill"), "lossBefore", "lossAfter", "klBefore", "klAfter"),
    pretrain: pick(metrics("cpt"), "lossBefore", "lossAfter"),
    sft: pick(sft, "accuracyOn", "accuracyOff", "formatOn", "formatOff"),
    grpo: {
      ...{ accuracyBefore, accuracyAfter },
      ...formats,
      ...pick(metrics("grpo"), "rolloutTokensPerSecond"),
    },
  };
  return report as unknown as ReportFigures;
}
