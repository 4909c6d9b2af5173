/**
 * What the stages of the recipe have at hand, and what they leave.
 *
 * @module
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { Decoder } from "../../nn/mod.ts";
import { Tokenizer } from "../../text/mod.ts";
import type { Recipe } from "../config/recipe_schema.ts";
import { readJson, writeJson } from "../puzzle/json_file.ts";
import type { Run } from "../runs/run.ts";
import type { StageWatcher } from "../runs/stage_recorder.ts";
import type { Json } from "../stage.ts";

/** What is to say of a stage when it is over. */
export interface StageOutcome {
  /** Tokens that were trained on or generated. */
  readonly tokens: number;
  /** What the stage measured, for the report and for later stages. */
  readonly metrics: { readonly [name: string]: Json };
}

/** A stage that is over. */
export interface StageReport extends StageOutcome {
  readonly name: string;
  /** Of all attempts together, but for what a killed one spent. */
  readonly seconds: number;
}

/** One stage of the recipe. */
export interface PipelineStage {
  /** Such as "sft"; its folder is `03-sft`. */
  readonly name: string;
  /** What it does, in a few words. */
  readonly title: string;
  /**
   * Does it; null when someone asked to stop. In its folder it may find what it left when it was stopped or killed: it goes on
   * from there, to the result that it would have had without the break.
   */
  run(context: StageContext): Promise<StageOutcome | null>;
}

/** Who watches the recipe. */
export interface PipelineView {
  /** A stage is about to train for so many steps. */
  training(stage: string, steps: number): StageWatcher & Disposable;
  /** Something that a person might like to know. */
  tell(line: string): void;
}

/** The recipe while it runs. */
export interface PipelineRun {
  readonly recipe: Recipe;
  readonly run: Run;
  /** The recipe should stop when it aborts. */
  readonly signal: AbortSignal;
  readonly view: PipelineView;
  /** The folder of each stage, in the run's. */
  readonly folders: ReadonlyMap<string, string>;
}

/** What a stage has at hand. */
export class StageContext {
  /** What the stage is called. */
  readonly name: string;
  readonly recipe: Recipe;
  readonly run: Run;
  readonly signal: AbortSignal;
  readonly view: PipelineView;
  /** The stage's folder in the run's. */
  readonly place: string;
  /** The stage's folder. */
  readonly folder: string;
  /** Where this stage leaves its model. */
  readonly modelFolder: string;
  readonly #folders: ReadonlyMap<string, string>;

  /** Makes the folder of the stage of this name. */
  constructor({ recipe, run, signal, view, folders }: PipelineRun, stage: string) {
    [this.recipe, this.run, this.signal, this.view] = [recipe, run, signal, view];
    this.#folders = folders;
    this.name = stage;
    this.place = folders.get(stage)!;
    this.folder = join(run.folder, this.place);
    this.modelFolder = join(this.folder, "model");
    mkdirSync(this.folder, { recursive: true });
  }

  /** The folder of an earlier stage. */
  folderOf(stage: string): string {
    return join(this.run.folder, this.#folders.get(stage)!);
  }

  /** Where an earlier stage left its model. */
  modelOf(stage: string): string {
    return join(this.folderOf(stage), "model");
  }

  /** Where the parent is: made by the recipe, or given to it. */
  get parentFolder(): string {
    return this.modelOf(this.#folders.has("parent") ? "parent" : "pretrain");
  }

  /** The tokenizer of the run. */
  tokenizer(): Promise<Tokenizer> {
    const made = this.#folders.has("tokenizer");
    return Tokenizer.load(made ? this.modelOf("tokenizer") : this.parentFolder);
  }

  /** The model of the stage before this one, or of the last one before that which left any. */
  loadNewest({ train }: { readonly train: boolean }): Decoder {
    const names = [...this.#folders.keys()], before = names.slice(0, names.indexOf(this.name));
    const isModel = (name: string): boolean => existsSync(join(this.modelOf(name), "config.json"));
    return this.load(before.findLast(isModel)!, { train });
  }

  /** Whether the recipe has a stage. */
  has(stage: string): boolean {
    return this.#folders.has(stage);
  }

  /** The parent, not to be trained. */
  loadParent(): Decoder {
    return Decoder.load(this.parentFolder, { dtype: this.recipe.dtype, train: false });
  }

  /** The model that an earlier stage left. */
  load(stage: string, { train }: { readonly train: boolean }): Decoder {
    return Decoder.load(this.modelOf(stage), { dtype: this.recipe.dtype, train });
  }
}

const reportFile = "stage.json";

/** What a stage said when it was over; null when it is not. */
export function readStageReport(folder: string): StageReport | null {
  return readJson<StageReport>(join(folder, reportFile));
}

/** Marks a stage as over. */
export function writeStageReport(folder: string, report: StageReport): void {
  writeJson(join(folder, reportFile), report);
}
