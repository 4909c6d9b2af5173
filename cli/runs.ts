/**
 * `deno task runs`: what was trained, and how it went.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type RunRecord, statusOf } from "../train/runs/record.ts";
import { RunIndex } from "../train/runs/run_index.ts";
import { runCommand } from "./command.ts";
import { succeeded } from "./errors.ts";
import { type Command, flag, path, userPath } from "./options.ts";
import { systemTerminal, type Terminal } from "./terminal.ts";
import { figure } from "./training_view.ts";

const options = {
  runs: path("DIR", "Where runs are kept (default: runs)"),
  json: flag("End with one line of JSON"),
};

const command: Command<typeof options> = {
  name: "runs",
  summary: "Lists runs, the newest first, with how they stand and their last figures.",
  options,
  examples: ["", "--runs other/runs --json"],
};

/** Runs the command; returns its exit code. */
export function main(args: readonly string[], terminal: Terminal): Promise<number> {
  return runCommand(command, args, terminal, ({ runs = userPath("runs"), json }) => {
    const records = list(runs);
    terminal.write(records.length === 0 ? `no runs in ${runs}\n` : table(records));
    if (json) terminal.write(JSON.stringify(records) + "\n");
    return succeeded;
  });
}

/** Records with the status that they have by now. */
function list(root: string): RunRecord[] {
  if (!existsSync(root)) return [];
  using index = new RunIndex(root);
  return index.list().map((record) => (
    { ...record, status: statusOf(join(root, record.name), record) }
  ));
}

function table(records: readonly RunRecord[]): string {
  const head = ["run", "stage", "status", "step", "loss", "eval/loss", "begun"];
  const rows = records.map(({ name, stage, status, step, steps, metrics, created }) => [
    name,
    stage,
    status,
    steps === null ? `${step}` : `${step}/${steps}`,
    value(metrics.loss),
    value(metrics["eval/loss"]),
    created.slice(0, 16).replace("T", " "),
  ]);
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => row[i].length)));
  return [head, ...rows]
    .map((row) => row.map((cell, i) => cell.padEnd(widths[i])).join("  ").trimEnd() + "\n")
    .join("");
}

function value(metric: number | null | undefined): string {
  return typeof metric === "number" ? figure(metric) : "–";
}

if (import.meta.main) Deno.exit(await main(Deno.args, systemTerminal()));
