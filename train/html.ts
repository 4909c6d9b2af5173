/**
 * Pieces of reports for browsers.
 *
 * @module
 */
import { escapeXml } from "./puzzle/plot.ts";

/** How a table is set. */
export interface TableStyle {
  /** Columns that hold words, which begin at the left; the first by default. */
  readonly words?: readonly number[];
  /** The row that stands out. */
  readonly chosen?: number;
}

/** A table of plain texts. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { words = [0], chosen }: TableStyle = {},
): string {
  const cells = (tag: string, row: readonly string[]): string =>
    row.map((cell, i) =>
      `<${tag}${words.includes(i) ? ' class="text"' : ""}>${escapeXml(cell)}</${tag}>`
    ).join("");
  const body = rows.map((row, i) =>
    `<tr${i === chosen ? ' class="chosen"' : ""}>${cells("td", row)}</tr>`
  );
  return `<table><thead><tr>${cells("th", head)}</tr></thead><tbody>\n${
    body.join("\n")
  }\n</tbody></table>`;
}

/** A part of a page with its heading. */
export function section(title: string, content: string): string {
  return `<h2>${escapeXml(title)}</h2>\n${content}`;
}
