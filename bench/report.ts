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

/** What a GPU can do at most, as measured: by cuBLAS on a large product, and by the driver's copy of memory. */
export interface GpuCeilings extends Omit<Ceilings, "tileGflops"> {
  /** What it is called. */
  readonly device: string;
}

/** All of a bench. */
export interface Report {
  readonly bench: string;
  readonly ceilings: Ceilings | GpuCeilings;
  readonly rows: readonly Row[];
  /** Share of the processors' time that other machines had meanwhile, where it is known. */
  readonly stolen?: number;
}

const digits = (value: number): string => value >= 100 ? value.toFixed(0) : value.toPrecision(3);
const percent = (share: number | undefined): string =>
  share === undefined ? "" : `${Math.round(share * 100)} %`;

/** The ceilings in words. */
function describe(ceilings: Ceilings | GpuCeilings): string {
  const [f32, bf16, memory] = [ceilings.fmaGflops, ceilings.bf16Gflops, ceilings.readGBs].map(
    digits,
  );
  return "device" in ceilings
    ? `${f32} GFLOP/s f32, ${bf16} GFLOP/s bf16, ${memory} GB/s copied, on ${ceilings.device}`
    : `${f32} GFLOP/s f32, ${bf16} GFLOP/s bf16 dot, ${memory} GB/s reading, on ${ceilings.threads} threads`;
}

/** Print the ceilings and a row for each measurement, to stderr. */
export function printReport({ bench, ceilings, rows, stolen }: Report): void {
  const others = stolen === undefined
    ? ""
    : `; other machines had ${(100 * stolen).toFixed(1)} % of the processors' time`;
  console.error(`${bench}: at most ${describe(ceilings)}${others}`);
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
