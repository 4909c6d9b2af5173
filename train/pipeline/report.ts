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
    ...searchReport(metrics("search")),
    sft: pick("evaluation", ["accuracyOn", "accuracyOff", "formatOn", "formatOff"]),
  };
}

/** Parent and child as the search measured them, and what became of the child's loss. */
function searchReport(search: StageReport["metrics"]): { readonly [name: string]: Json } {
  const { parent = null, baselines = null } = search;
  const [start, distilled, pretrained] = [
    search.fused ?? search.child,
    search.distilled,
    search.pretrained,
  ].map((model) => (model ?? {}) as Readonly<Record<string, number>>);
  return {
    parent,
    child: search.pretrained ?? search.distilled ?? search.fused ?? search.child ?? null,
    baselines,
    distill: {
      lossBefore: start.loss ?? null,
      lossAfter: distilled.loss ?? null,
      klBefore: start.kl ?? null,
      klAfter: distilled.kl ?? null,
    },
    pretrain: { lossBefore: distilled.loss ?? null, lossAfter: pretrained.loss ?? null },
  };
}
