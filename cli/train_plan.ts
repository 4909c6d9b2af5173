/**
 * What one stage and the whole recipe have in common on the command line.
 *
 * @module
 */
import { relative } from "node:path";
import type { Run } from "../train/runs/run.ts";
import { userPath } from "./options.ts";

/** What the options of `train` itself say. */
export interface TrainPlan {
  /** Where runs are kept. */
  readonly runs: string;
  /** The folder of the run to go on with; null for a new one. */
  readonly resume: string | null;
  readonly dryRun: boolean;
  /** Values that the recipe's file chose by itself, because what it follows does not tell them. */
  readonly assumed: Readonly<Record<string, unknown>>;
  readonly threads: number | undefined;
  readonly json: boolean;
}

/** What goes on with a run, as one would type it. */
export function resumeCommand({ runs }: TrainPlan, { record }: Run): string {
  const place = runs === userPath("runs") ? "" : ` --runs ${relative(userPath("."), runs)}`;
  return `deno task train --resume ${record.name}${place}`;
}
