/**
 * What was published, beside what the recipe measured.
 *
 * @module
 */

/** The figures of `report.json` that are compared. */
export interface ReportFigures {
  readonly seconds: number;
  readonly parent: ModelNumbers;
  readonly child: ModelNumbers;
  readonly baselines: Readonly<
    Record<
      "mip" | "greedy" | "random" | "parameterMaximising",
      { readonly kl: number; readonly loss: number } | null
    >
  >;
  readonly distill: Readonly<Record<"lossBefore" | "lossAfter" | "klBefore" | "klAfter", number>>;
  readonly pretrain: Readonly<Record<"lossBefore" | "lossAfter", number>>;
  readonly sft: Readonly<Record<"accuracyOn" | "accuracyOff" | "formatOn" | "formatOff", number>>;
  readonly grpo: Readonly<
    Record<
      "accuracyBefore" | "accuracyAfter" | "formatOn" | "formatOff" | "rolloutTokensPerSecond",
      number
    >
  >;
}

/** A model in `report.json`. */
export interface ModelNumbers {
  readonly parameters: number;
  readonly loss: number;
  readonly decodeTokensPerSecond: number;
  readonly kvBytesPerToken: number;
}

/** A claim and its counterpart, and the stage that they are about. */
export interface Claim {
  readonly stage: string;
  readonly claim: readonly [what: string, published: string, here: string];
}

/**
 * Published figures are of Llama-Nemotron (2505.00949), Puzzle (2411.19146) and FFN Fusion (2503.18908), of models a hundred
 * thousand times as large.
 */
export function claimsOf(report: ReportFigures): Claim[] {
  const { parent, child, baselines, distill, pretrain, sft, grpo } = report;
  const times = (a: number, b: number): string => `${(a / b).toFixed(2)}×`;
  const nats = (value: number | undefined): string => value?.toFixed(4) ?? "none found";
  const gap = distill.lossBefore - parent.loss, closed = distill.lossBefore - distill.lossAfter;
  return [
    {
      stage: "puzzle",
      claim: [
        "Decoding, child against parent",
        "1.71× (LN-Ultra after fusion, against Llama-3.1-405B); 2.17× (Nemotron-51B)",
        `${times(child.decodeTokensPerSecond, parent.decodeTokensPerSecond)}, measured`,
      ],
    },
    {
      stage: "puzzle",
      claim: [
        "Parameters and KV cache, child against parent",
        "62 % (253B of 405B); attention is gone in half of LN-Ultra's blocks",
        `${percent(child.parameters / parent.parameters)} and ${
          percent(child.kvBytesPerToken / parent.kvBytesPerToken)
        }`,
      ],
    },
    {
      stage: "puzzle",
      claim: [
        "The mixed-integer program against simpler ways, KL to the parent",
        "better than greedy, random and parameter-maximising choices (Puzzle)",
        `${nats(baselines.mip?.kl)}; greedy ${nats(baselines.greedy?.kl)}, random ${
          nats(baselines.random?.kl)
        }, most parameters ${nats(baselines.parameterMaximising?.kl)}`,
      ],
    },
    {
      stage: "distill",
      claim: [
        "Distillation",
        "98.4 % of the parent's accuracy (Nemotron-51B)",
        gap > 0
          ? `${percent(closed / gap)} of the lost loss is back: ${nats(distill.lossBefore)} → ${
            nats(distill.lossAfter)
          } (parent ${nats(parent.loss)})`
          : "the child had lost nothing",
      ],
    },
    {
      stage: "cpt",
      claim: [
        "Continued pretraining",
        "LN-Ultra passes its parent after 88B tokens: MATH500 80.4 against 69.6",
        `held-out loss ${nats(pretrain.lossBefore)} → ${nats(pretrain.lossAfter)}`,
      ],
    },
    {
      stage: "sft",
      claim: [
        "Right answers with thinking, and without",
        "MATH500 95.4 and 36.6, AIME24 61.3 and 3.0 (LN-Nano)",
        `${percent(sft.accuracyOn)} and ${percent(sft.accuracyOff)} after fine-tuning`,
      ],
    },
    {
      stage: "evaluation",
      claim: [
        "The switch is obeyed, on and off",
        "exactly one <think> block when on, none when off",
        `${percent(grpo.formatOn)} and ${percent(grpo.formatOff)} of the answers that end`,
      ],
    },
    {
      stage: "grpo",
      claim: [
        "Reinforcement learning",
        "GPQA-Diamond about 60 → 75 over some 500 steps (LN-Ultra)",
        `${percent(grpo.accuracyBefore)} → ${percent(grpo.accuracyAfter)} on new problems`,
      ],
    },
  ];
}

/** 0.5 as "50.0 %"; what was not measured is a dash. */
export function percent(share: number | null): string {
  return share === null || Number.isNaN(share) ? "–" : `${(100 * share).toFixed(1)} %`;
}
