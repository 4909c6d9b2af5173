/**
 * Runs: folders that tell what was done, with what, and how far it is.
 *
 * @module
 */
export { EventFile } from "./event_file.ts";
export { type Provenance, provenance } from "./provenance.ts";
export { readRecord, readRecords, type RunRecord, type RunStatus, statusOf } from "./record.ts";
export { newestModel, newestRun, Run, type RunDescription, RunError } from "./run.ts";
export { RunIndex } from "./run_index.ts";
export { StageRecorder, type StageWatch, type StageWatcher } from "./stage_recorder.ts";
export { readStepLog, type StepLine, StepLog } from "./step_log.ts";
