/**
 * What a bench prints: a table for people, one line of JSON for programs.
 *
 * @module
 */
import type { Ceilings } from "../tensor/ceilings.ts";

/** One measurement. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** Share of what the machine can do at most. */
  readonly ofCeiling?: number;
  /** The same work by another library, in the same run. */
  readonly peer?: { readonly name: string; readonly value: number };
  /** How many times the peer's figure. */
  readonly ofPeer?: number;
}

/** All of a bench. */
export interface Report {
  readonly bench: string;
  readonly ceilings: Ceilings;
  readonly rows: readonly Row[];
}

const digits = (value: number): string => value >= 100 ? value.toFixed(0) : value.toPrecision(3);
const percent = (share: number | undefined): string =>
  share === undefined ? "" : `${Math.round(share * 100)} %`;

/** Print the ceilings and a row for each measurement, to stderr. */
export function printReport({ bench, ceilings, rows }: Report): void {
  const { fmaGflops, bf16Gflops, readGBs, threads } = ceilings;
  console.error(
    `${bench}: at most ${digits(fmaGflops)} GFLOP/s f32, ${digits(bf16Gflops)} GFLOP/s bf16 dot, ` +
      `${digits(readGBs)} GB/s reading, on ${threads} threads`,
  );
  const cells = rows.map(({ name, value, unit, ofCeiling, peer, ofPeer }) => [
    name,
    `${digits(value)} ${unit}`,
    ofCeiling === undefined ? "" : `${percent(ofCeiling)} of the ceiling`,
    peer === undefined
      ? ""
      : `${peer.name} ${digits(peer.value)}${
        ofPeer === undefined ? "" : `, ${ofPeer.toFixed(2)}×`
      }`,
  ]);
  const widths = [0, 1, 2].map((column) =>
    Math.max(0, ...cells.map((cell) => cell[column].length))
  );
  for (const cell of cells) {
    console.error(
      "  " + cell.map((text, column) => text.padEnd(widths[column] ?? 0)).join("  ").trimEnd(),
    );
  }
}

/** The same row with a peer beside it, if it was measured; more is better unless `lessIsBetter`. */
export function beside(
  row: Row,
  name: string,
  value: number | undefined,
  lessIsBetter = false,
): Row {
  if (value === undefined) return row;
  return {
    ...row,
    peer: { name, value },
    ofPeer: lessIsBetter ? value / row.value : row.value / value,
  };
}

/** The row once for each peer that was measured, or as it is without any. */
export function withPeers(row: Row, figures: Readonly<Record<string, number | undefined>>): Row[] {
  const measured = Object.entries(figures).filter(([, value]) => value !== undefined);
  if (measured.length === 0) return [row];
  return measured.map(([name, value]) => beside(row, name, value));
}
