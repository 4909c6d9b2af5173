/**
 * The whole search: library, scores, costs, choice, fusion, distillation, continued pretraining, report.
 *
 * @module
 */
import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { Decoder, type HuggingFaceConfig, openCheckpoint, writeHuggingFace } from "../../nn/mod.ts";
import { Comparison, type Distance } from "../compare.ts";
import { type DistillLosses, distillStage } from "../distill.ts";
import { train } from "../loop.ts";
import type { TrainOptions } from "../options.ts";
import { pretrainStage } from "../pretrain.ts";
import type { BatchSource, RunSink, Stage, TokenBatch } from "../stage.ts";
import { buildLibrary } from "./build_library.ts";
import { chooseArchitectures, type ChooseOptions, type Chosen } from "./choose.ts";
import type { Quantity } from "./constraints.ts";
import { type CostTable, hardwareOf, measureCosts, readCosts, writeCosts } from "./costs.ts";
import { enginePath } from "./engine_path.ts";
import { assembleReport, writeReport } from "./figures.ts";
import { fuseChild, type FusionRecord } from "./fuse_child.ts";
import type { FusionOptions } from "./fusion.ts";
import { BlockLibrary, type LibraryOptions } from "./library.ts";
import { paretoSweep } from "./pareto.ts";
import { choicesAt, type ModelData, realise, realisedDistance, searchSpace } from "./realise.ts";
import type { PuzzleReport } from "./report_data.ts";
import { scoreLayer, type ScoreName } from "./scores.ts";
import type { Architecture, Scenario, SearchSpace } from "./space.ts";
import { type Pause, pauseFor, unlessStopped } from "../interruption.ts";
import { readJson, writeJson } from "./json_file.ts";

/** Everything that a search is told. */
export interface PuzzleOptions {
  /** The model to start from. */
  readonly parent: ModelData;
  /** Its config, whose other keys go on, and files to carry along, such as the tokenizer's. */
  readonly carry?: { readonly like?: HuggingFaceConfig; readonly files?: readonly string[] };
  /** What is computed in; f32 by default. */
  readonly dtype?: "f32" | "bf16";
  /** Text to learn from, from its beginning at each call. */
  readonly batches: () => BatchSource<TokenBatch>;
  /** Other text, on which contributions and scores are measured. */
  readonly calibration: readonly TokenBatch[];
  /** Other text again, for the figures of the report. */
  readonly heldOut: readonly TokenBatch[];
  /** Which variants there are, and how they begin. */
  readonly library?: LibraryOptions;
  /** How they train. */
  readonly bypass: TrainOptions;
  /** How many layers' variants are in memory at once; all by default. */
  readonly layersAtOnce?: number;
  /** The folder of another search of the same parent, whose library, scores and costs are taken as they are. */
  readonly from?: string;
  /** How the model will be used. */
  readonly scenario: Scenario;
  /** Which score is added up; `kl` by default. */
  readonly score?: ScoreName;
  /** Limits, and how to search. */
  readonly search: ChooseOptions;
  /** What the Pareto plot is over; throughput, up to 3 times the parent's, by default. */
  readonly sweep?: { readonly quantity: Quantity; readonly to: number };
  /** Which feed-forward parts become one; null for none. */
  readonly fusion: FusionOptions | null;
  /** How the child learns from the parent; null for not at all. */
  readonly distill: (DistillLosses & { readonly train: TrainOptions }) | null;
  /** How it goes on afterwards on text alone; null for not at all. */
  readonly pretrain: TrainOptions | null;
  /** Rounds in which costs and models are timed; 9 by default. */
  readonly rounds?: number;
}

/** Where a search leaves its files, and who hears of it. */
export interface PuzzleHost {
  /** What is found is kept here, and a search that is begun again goes on from it. */
  readonly folder: string;
  /** Aborted by whoever wants the search to stop. */
  readonly signal: AbortSignal;
  /** The run of a stage that trains; its folder is below `folder`. */
  sink(stage: string): RunSink;
  /** Told what is done now. */
  tell(line: string): void;
}

/**
 * Runs a search in `host.folder`, or what is left of it: everything that is there already is taken as it is. Returns the
 * report, or null when it was interrupted. Models are Hugging
 * Face folders: `child`, `fused`, `distilled` and `pretrained`, as far as they are asked for.
 */
export function runPuzzle(options: PuzzleOptions, host: PuzzleHost): Promise<PuzzleReport | null> {
  return unlessStopped(host.signal, () => new PuzzleRun(options, host).run());
}

/** One search, step by step. */
class PuzzleRun {
  readonly #seconds: Record<string, number>;
  readonly #pause: Pause;

  constructor(readonly options: PuzzleOptions, readonly host: PuzzleHost) {
    this.#seconds = readJson<Record<string, number>>(this.path("seconds.json")) ?? {};
    this.#pause = pauseFor(host.signal);
  }

  path(name: string): string {
    return join(this.host.folder, name);
  }

  async run(): Promise<PuzzleReport | null> {
    const { options, host } = this, dtype = options.dtype ?? "f32";
    if (options.from !== undefined) this.#takeOver(options.from);
    using parent = Decoder.load(options.parent, { dtype, train: false });
    const library = BlockLibrary.open(this.path("library"), parent.spec, options.library ?? {});
    if (!await this.#timed("library", () => this.#buildLibrary(library, parent))) return null;
    const scores = await this.#timed("scores", () => this.#scores(library, parent));
    const costs = await this.#timed("costs", () => this.#costs(library));
    const space = searchSpace(library.variants, scores, costs, options.score ?? "kl");
    const chosen = await this.#timed("search", () => this.#choose(space, library, parent));
    const choices = choicesAt(library.variants, chosen.solutions[0].architecture);
    this.#realise("child", () => realise(options.parent, library, choices));
    const fusion = await this.#timed("fusion", () => this.#fuse());
    const trained = await this.#train(parent, fusion);
    if (trained === null) return null;
    host.tell("puzzle: the report");
    const names = ["child", ...(fusion.groups.length > 0 ? ["fused"] : []), ...trained];
    const pareto = await this.#timed("sweep", () => this.#sweep(space));
    const found = {
      folder: host.folder,
      parent,
      library,
      space,
      costs,
      chosen,
      fusion,
      names,
      pareto,
    };
    const figures = await this.#timed("figures", () => assembleReport(options, found, this.#pause));
    const report = { ...figures, seconds: this.#seconds };
    writeReport(report, found);
    return report;
  }

  /** Copies what another search has, unless it is here already. */
  #takeOver(from: string): void {
    for (const name of ["library", "scores.json", "costs.json"]) {
      const [there, here] = [join(from, name), this.path(name)];
      if (existsSync(there) && !existsSync(here)) cpSync(there, here, { recursive: true });
    }
  }

  #buildLibrary(library: BlockLibrary, parent: Decoder): Promise<boolean> {
    const { batches, calibration, bypass, layersAtOnce } = this.options;
    this.host.tell(`puzzle: the block library, ${library.entries.length} variants`);
    return buildLibrary(library, {
      parent,
      batches,
      heldOut: calibration,
      train: { ...bypass, resume: true },
      ...(layersAtOnce === undefined ? {} : { layersAtOnce }),
    }, this.host.sink("library-training"));
  }

  async #scores(library: BlockLibrary, parent: Decoder): Promise<Distance[][]> {
    const path = this.path("scores.json");
    const known = readJson<Distance[][]>(path) ?? [];
    for (let layer = known.length; layer < parent.spec.blocks.length; layer++) {
      await this.#pause();
      this.host.tell(`puzzle: scores of block ${layer}`);
      known.push(scoreLayer(parent, library, layer, this.options.calibration));
      writeJson(path, known);
    }
    return known;
  }

  async #costs(library: BlockLibrary): Promise<CostTable> {
    const { dtype = "f32", scenario, rounds = 9 } = this.options, path = this.path("costs.json");
    const how = { path: enginePath, dtype, rounds, pause: this.#pause };
    const known = readCosts(path, hardwareOf(how), scenario, (text) => this.host.tell(text));
    if (known) return known;
    this.host.tell("puzzle: costs of all parts, measured");
    const costs = await measureCosts(library.spec, library.variants, scenario, how);
    writeCosts(path, costs);
    return costs;
  }

  async #choose(space: SearchSpace, library: BlockLibrary, parent: Decoder): Promise<Chosen> {
    const path = this.path("choice.json"), known = readJson<Chosen>(path);
    if (known) return known;
    this.host.tell("puzzle: the search");
    const { search, score = "kl", calibration } = this.options;
    using comparison = new Comparison(parent, calibration);
    const measure = async (architecture: Architecture): Promise<number> => {
      await this.#pause();
      return realisedDistance(this.options, library, architecture, comparison)[score];
    };
    const chosen = await chooseArchitectures(space, { measure, ...search });
    writeJson(path, chosen);
    return chosen;
  }

  async #sweep(space: SearchSpace) {
    const { quantity, to } = this.options.sweep ?? { quantity: "throughput", to: 3 };
    const constraints = this.options.search.constraints ?? [];
    return { quantity, solutions: await paretoSweep(space, { quantity, to, constraints }) };
  }

  /** Writes a model unless it is there. */
  #realise(name: string, make: () => ModelData): void {
    if (existsSync(this.path(name))) return;
    writeHuggingFace(this.path(name), make(), this.options.carry ?? {});
  }

  #fuse(): FusionRecord {
    const { fusion, calibration, dtype = "f32" } = this.options, path = this.path("fusion.json");
    const known = readJson<FusionRecord>(path);
    if (known) return known;
    using child = openCheckpoint(this.path("child"));
    const { record, fused } = fuseChild(child, { fusion, calibration, dtype });
    if (record.groups.length > 0) this.#realise("fused", () => fused);
    writeJson(path, record);
    return record;
  }

  /** Distillation and continued pretraining; the names of their models, or null when one was interrupted. */
  async #train(parent: Decoder, { groups, depths }: FusionRecord): Promise<string[] | null> {
    const { distill, pretrain, heldOut } = this.options, names: string[] = [];
    let from = groups.length > 0 ? "fused" : "child";
    if (distill) {
      const { train: how, ...losses } = distill;
      const mapped = groups.length > 0 ? { depths } : {};
      const stage = (student: Decoder, batches: BatchSource<TokenBatch>) =>
        distillStage({ student, teacher: parent, batches, heldOut, ...mapped, ...losses });
      if (!await this.#stage("distilled", from, how, stage)) return null;
      names.push(from = "distilled");
    }
    if (pretrain) {
      const stage = (model: Decoder, batches: BatchSource<TokenBatch>) =>
        pretrainStage({ model, batches, heldOut });
      if (!await this.#stage("pretrained", from, pretrain, stage)) return null;
      names.push("pretrained");
    }
    return names;
  }

  async #stage<B extends TokenBatch>(
    name: string,
    from: string,
    how: TrainOptions,
    make: (model: Decoder, batches: BatchSource<TokenBatch>) => Stage<B>,
  ): Promise<boolean> {
    if (existsSync(this.path(name))) return true;
    this.host.tell(`puzzle: ${name}, from ${from}`);
    using source = openCheckpoint(this.path(from));
    using model = Decoder.load(source, { dtype: this.options.dtype ?? "f32" });
    const stage = make(model, this.options.batches());
    const { reason } = await this.#timed(
      name,
      () => train(stage, { ...how, resume: true }, this.host.sink(`${name}-training`)),
    );
    if (reason === "interrupted") return false;
    const { dtype } = source.entries.get("embedding.weight")!;
    const stored = dtype === "bf16" || dtype === "f16" ? dtype : "f32";
    model.save(this.path(name), { ...this.options.carry, dtype: stored });
    return true;
  }

  /** Notes how long a part takes; parts that are done take next to nothing and keep the time that they took. */
  async #timed<T>(name: string, part: () => T | Promise<T>): Promise<T> {
    const start = performance.now(), result = await part();
    const seconds = (performance.now() - start) / 1000;
    this.#seconds[name] = Math.max(seconds, this.#seconds[name] ?? 0);
    writeJson(this.path("seconds.json"), this.#seconds);
    return result;
  }
}
