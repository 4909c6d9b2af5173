/**
 * A configured architecture search, ready to run.
 *
 * @module
 */
import type { CheckpointSource, HuggingFaceConfig } from "../../nn/mod.ts";
import type { Tokenizer } from "../../text/mod.ts";
import type { PuzzleConfig } from "../config/search_schema.ts";
import type { TrainOptions } from "../options.ts";
import { parseConstraint } from "../puzzle/constraints.ts";
import type { PuzzleOptions } from "../puzzle/run.ts";
import { openTokenData, type TokenData } from "./token_data.ts";
import { trainOptions } from "./train_options.ts";

/** A search and its data. */
export interface PuzzleJob extends Disposable {
  readonly options: PuzzleOptions;
  readonly data: TokenData;
}

/** Opens the data and puts the search together. Throws DataError for data, ConstraintError for limits, that make no sense. */
export async function puzzleJob(
  config: PuzzleConfig,
  parent: CheckpointSource & { readonly config?: HuggingFaceConfig },
  tokenizer: Tokenizer,
  tell: (line: string) => void,
): Promise<PuzzleJob> {
  const { spec, files } = parent, constraints = config.constraint.map(parseConstraint);
  const context = config.context ?? Math.min(spec.context, config.batchTokens);
  const reader = { tokenizer, vocabulary: spec.vocab, context, tell };
  const token = { ...config, lr: config.distill.lr };
  const data = await openTokenData(token, reader), start = data.batches.state();
  return {
    options: {
      parent,
      carry: { files, ...parent.config === undefined ? {} : { like: parent.config } },
      batches: () => {
        data.batches.restore(start);
        return data.batches;
      },
      ...divided(data),
      ...searchOptions(config),
      search: { ...config.search, constraints, seed: config.seed },
    },
    data,
    [Symbol.dispose]: () => data[Symbol.dispose](),
  };
}

/** Two parts of the held-out text: what is measured on the first decides, and the second tells how it went. */
export function divided({ heldOut }: Pick<TokenData, "heldOut">): Pick<
  PuzzleOptions,
  "calibration" | "heldOut"
> {
  if (heldOut.length < 2) return { calibration: heldOut, heldOut };
  const half = Math.ceil(heldOut.length / 2);
  return { calibration: heldOut.slice(0, half), heldOut: heldOut.slice(half) };
}

/** What a configuration says that needs neither model nor data. */
export function searchOptions(
  config: Omit<PuzzleConfig, "model" | "data" | "constraint">,
): Omit<PuzzleOptions, "parent" | "batches" | "calibration" | "heldOut" | "search"> {
  const { library, variants, fusion, distill, pretrain } = config;
  const how = ({ steps, lr }: { readonly steps: number; readonly lr: number }): TrainOptions =>
    trainOptions({ ...config, lr }, steps);
  const { steps: _steps, lr: _lr, ...losses } = distill;
  const { enabled, ...fused } = fusion;
  return {
    dtype: config.dtype,
    library: {
      train: library.train,
      kvInitialisation: library.kvInitialisation,
      variants: withoutUndefined(variants),
    },
    bypass: how(library),
    ...withoutUndefined({ layersAtOnce: library.layersAtOnce, from: config.from }),
    scenario: config.scenario,
    score: config.score,
    rounds: config.search.rounds,
    fusion: enabled ? withoutUndefined(fused) : null,
    distill: distill.steps > 0 ? { ...losses, train: how(distill) } : null,
    pretrain: pretrain.steps > 0 ? how(pretrain) : null,
  };
}

/** The same without keys that nothing was given for. */
function withoutUndefined<T extends object>(
  values: T,
):
  & { [K in keyof T]?: Exclude<T[K], undefined> }
  & { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as ReturnType<typeof withoutUndefined<T>>;
}
