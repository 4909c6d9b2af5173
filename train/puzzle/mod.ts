/**
 * Puzzle: architecture search by block libraries, measured costs and a mixed-integer program; and FFN Fusion.
 *
 * @module
 */
export { architectureSvg, type PicturedModel } from "./architecture_picture.ts";
export {
  type BaselineProblem,
  greedyArchitecture,
  parameterMaximisingArchitecture,
  randomArchitectures,
  removalArchitecture,
} from "./baselines.ts";
export { buildLibrary, type BuildOptions } from "./build_library.ts";
export { type BypassOptions, bypassStage, variantErrors } from "./bypass.ts";
export {
  type BaselineName,
  type Candidate,
  chooseArchitectures,
  type ChooseOptions,
  type Chosen,
  rankCorrelation,
} from "./choose.ts";
export {
  type Constraint,
  ConstraintError,
  type Limit,
  parseConstraint,
  quantities,
  quantitiesOf,
  type Quantity,
  resolveConstraints,
  type Row as ConstraintRow,
  rowsOf as constraintRows,
  violation,
} from "./constraints.ts";
export {
  blockCost,
  type CostTable,
  type Hardware,
  hardwareOf,
  measureCosts,
  type MeasureOptions,
  partKey,
  readCosts,
  writeCosts,
} from "./costs.ts";
export { dependencies } from "./dependency.ts";
export { enginePath } from "./engine_path.ts";
export { fuseChild, type FuseChildOptions, type FusionRecord } from "./fuse_child.ts";
export {
  fuse,
  type FusedModel,
  type FusionGroup,
  fusionGroups,
  type FusionOptions,
} from "./fusion.ts";
export type { KvInitialisation } from "./init_attention.ts";
export {
  BlockLibrary,
  type EntryFigures,
  libraryEntries,
  type LibraryEntry,
  type LibraryOptions,
} from "./library.ts";
export {
  type DecodePath,
  type DecodeRun,
  measureTimes,
  type RoundOptions,
  timeDecoders,
  type TimingOptions,
} from "./measure.ts";
export {
  describe as describeSolution,
  InfeasibleError,
  openSolver,
  type Program,
  search,
  type SearchOptions,
  type Solution,
  type Solver,
} from "./mip.ts";
export { paretoCsv, paretoSweep, type SweepOptions } from "./pareto.ts";
export { palette, type Plot, plotSvg, type Series } from "./plot.ts";
export { choicesAt, type ModelData, realise, realisedSpec, searchSpace } from "./realise.ts";
export { reportHtml } from "./report.ts";
export type {
  BaselineFigures,
  CandidateFigures,
  ModelFigures,
  ParetoPoint,
  PuzzleReport,
} from "./report_data.ts";
export { type PuzzleHost, type PuzzleOptions, runPuzzle } from "./run.ts";
export { scoreLayer, type ScoreName } from "./scores.ts";
export {
  addCosts,
  type Architecture,
  type BatchTime,
  type Cost,
  parentArchitecture,
  type Scenario,
  type SearchOption,
  type SearchSpace,
  totalCost,
  totalScore,
} from "./space.ts";
export { type BlockStatistics, measureStatistics } from "./statistics.ts";
export { VariantModules, type VariantModulesOptions } from "./variant_modules.ts";
export {
  type BlockChoice,
  type BlockVariants,
  blockVariants,
  choiceName,
  choicesOf,
  chosenBlock,
  parentChoice,
  type Variant,
  type VariantOptions,
} from "./variants.ts";
