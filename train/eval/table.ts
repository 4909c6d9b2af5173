/**
 * Reports for people.
 *
 * @module
 */
import type { EvalReport } from "./evaluate.ts";
import type { Estimate } from "./statistics.ts";

/**
 * Reports as an aligned table, with 95 % intervals in brackets; pass@k for the largest k.
 *
 * @example
 * ```ts
 * import { evalTable } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * assert.match(evalTable([]), /^task/);
 * ```
 */
export function evalTable(reports: readonly EvalReport[]): string {
  const head = ["task", "thinking", "problems", "accuracy", "pass@k", "format", "ended", "tokens"];
  const rows = reports.map((report) => {
    const [k, pass] = Object.entries(report.passAt).at(-1) ?? ["1", report.accuracy];
    const samples = report.samples === 1 ? "" : ` × ${report.samples}`;
    return [
      report.task,
      report.mode,
      `${report.problems}${samples}`,
      percent(report.accuracy),
      `@${k} ${percent(pass)}`,
      percent(report.format),
      percent(report.ended),
      report.tokens.toFixed(0),
    ];
  });
  const widths = head.map((_, column) =>
    Math.max(...[head, ...rows].map((cells) => cells[column].length))
  );
  return [head, ...rows]
    .map((cells) => cells.map((cell, i) => cell.padEnd(widths[i])).join("  ").trimEnd())
    .join("\n");
}

function percent({ value, low, high }: Estimate): string {
  if (Number.isNaN(value)) return "–";
  const digits = (share: number): string => (100 * share).toFixed(1);
  return `${digits(value)} % [${digits(low)}, ${digits(high)}]`;
}
