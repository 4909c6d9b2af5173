/**
 * Making a block library.
 *
 * @module
 */
import { join } from "node:path";
import type { CheckpointEntry, Decoder } from "../../nn/mod.ts";
import { noGrad, scope } from "../../tensor/mod.ts";
import { train } from "../loop.ts";
import type { TrainOptions } from "../options.ts";
import type { BatchSource, RunSink, TokenBatch } from "../stage.ts";
import { bypassStage, variantErrors } from "./bypass.ts";
import { initialWeights } from "./initialise.ts";
import { type BlockLibrary, type EntryFigures, entryPrefix } from "./library.ts";
import { type BlockStatistics, measureStatistics } from "./statistics.ts";
import { VariantModules } from "./variant_modules.ts";

/** How a library is made. */
export interface BuildOptions {
  /** Loaded without `train`. */
  readonly parent: Decoder;
  /** Text to learn from, from its beginning; called for each group of layers. */
  readonly batches: () => BatchSource<TokenBatch>;
  /** Other text: contributions of channels and heads are measured on it, and errors. */
  readonly heldOut: readonly TokenBatch[];
  /** How variants train; with 0 steps they stay as they start. */
  readonly train: TrainOptions;
  /** How many layers' variants are in memory at once; all by default. */
  readonly layersAtOnce?: number;
}

/**
 * Trains what a library lacks, one group of layers after the other. Returns false when the run was interrupted; called
 * again, it goes on where it stopped.
 */
export async function buildLibrary(
  library: BlockLibrary,
  options: BuildOptions,
  run: RunSink,
): Promise<boolean> {
  const { parent, heldOut, layersAtOnce = Infinity } = options;
  const missing = [...library.spec.blocks.keys()].filter((layer) => !library.has(layer));
  if (missing.length === 0) return true;
  const statistics = measureStatistics(parent, heldOut);
  while (missing.length > 0) {
    const group = missing.splice(0, layersAtOnce);
    if (!await trainGroup(library, group, statistics, options, run)) return false;
  }
  return true;
}

async function trainGroup(
  library: BlockLibrary,
  layers: readonly number[],
  statistics: readonly BlockStatistics[],
  { parent, batches, heldOut, train: trainOptions }: BuildOptions,
  run: RunSink,
): Promise<boolean> {
  const { kvInitialisation } = library.options, { dtype, context } = parent;
  const entries = library.entries.filter(({ layer }) => layers.includes(layer));
  using variants = noGrad(() =>
    scope(() =>
      new VariantModules(
        library.spec,
        entries,
        (entry) => initialWeights(parent, statistics, entry, kvInitialisation),
        { dtype, context, train: true },
      )
    )
  );
  const before = variantErrors(parent, variants, heldOut);
  if (trainOptions.steps > 0 && entries.length > 0) {
    const stage = bypassStage({ parent, variants, batches: batches(), heldOut });
    const folder = run.folder && join(run.folder, `layers-${layers[0]}-${layers.at(-1)}`);
    const { reason } = await train(stage, withoutSpikes(trainOptions), inFolder(run, folder));
    if (reason === "interrupted") return false;
  }
  const after = variantErrors(parent, variants, heldOut);
  for (const layer of layers) writeLayer(library, layer, variants, before, after);
  return true;
}

/** What is a spike for one variant is none for the others. */
function withoutSpikes(options: TrainOptions): TrainOptions {
  return { ...options, guard: { ...options.guard, spikeFactor: Infinity } };
}

/** The same run, with its checkpoints elsewhere. */
function inFolder(run: RunSink, folder: string | null): RunSink {
  return {
    folder,
    get interrupted() {
      return run.interrupted;
    },
    metrics: (step, values) => run.metrics(step, values),
    sample: (step, text) => run.sample(step, text),
    warn: (text) => run.warn(text),
    resumed: (step) => run.resumed?.(step),
  };
}

function writeLayer(
  library: BlockLibrary,
  layer: number,
  variants: VariantModules,
  before: readonly number[],
  after: readonly number[],
): void {
  const state = new Map<string, CheckpointEntry>(), figures: Record<string, EntryFigures> = {};
  variants.entries.forEach((entry, i) => {
    if (entry.layer !== layer) return;
    const prefix = entryPrefix(entry);
    for (const [name, tensor] of variants.entryState(i)) state.set(prefix + name, tensor);
    figures[prefix] = { initialError: before[i], error: after[i] };
  });
  library.write(layer, state, figures);
}
