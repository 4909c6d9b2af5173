/**
 * Plots as SVG.
 *
 * @module
 */

/** Points that belong together. */
export interface Series {
  /** What the legend calls them. */
  readonly name: string;
  /** Where they lie. */
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Whether a line joins them, from left to right; false when absent. */
  readonly line?: boolean;
}

/** A plot. */
export interface Plot {
  /** What stands above it. */
  readonly title: string;
  /** What the horizontal axis shows, with its unit. */
  readonly x: string;
  /** What the vertical axis shows, with its unit. */
  readonly y: string;
  /** What is drawn. */
  readonly series: readonly Series[];
}

/** Colours that are told apart by people who see few of them (Okabe & Ito, 2008). */
export const palette: readonly string[] = [
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#e69f00",
  "#56b4e9",
];

const size = { width: 720, height: 420 };
const margin = { left: 72, right: 24, top: 44, bottom: 56 };

/**
 * A plot as an SVG document that needs nothing else.
 *
 * @example
 * ```ts
 * import { plotSvg } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * const svg = plotSvg({
 *   title: "Loss", x: "steps", y: "nats", series: [{ name: "run", points: [[0, 2], [1, 1]], line: true }],
 * });
 * assert.match(svg, /^<svg .*<\/svg>$/s);
 * ```
 */
export function plotSvg({ title, x, y, series }: Plot): string {
  const points = series.flatMap(({ points }) => points);
  const across = new Axis(points.map(([value]) => value), margin.left, size.width - margin.right);
  const up = new Axis(points.map(([, value]) => value), size.height - margin.bottom, margin.top);
  const middle = (margin.left + size.width - margin.right) / 2;
  const height = (margin.top + size.height - margin.bottom) / 2;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" width="${size.width}" height="${size.height}" font-family="system-ui, sans-serif" font-size="12" fill="#333">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    text(middle, 22, title, `text-anchor="middle" font-size="15" font-weight="600"`),
    ...across.ticks.map((tick) => {
      const at = across.place(tick), bottom = size.height - margin.bottom;
      return line(at, margin.top, at, bottom, "#e5e5e5") +
        text(at, bottom + 18, written(tick), `text-anchor="middle"`);
    }),
    ...up.ticks.map((tick) => {
      const at = up.place(tick);
      return line(margin.left, at, size.width - margin.right, at, "#e5e5e5") +
        text(margin.left - 8, at + 4, written(tick), `text-anchor="end"`);
    }),
    text(middle, size.height - 14, x, `text-anchor="middle"`),
    text(18, height, y, `text-anchor="middle" transform="rotate(-90 18 ${height})"`),
    ...series.map((own, i) => drawn(own, palette[i % palette.length], across, up)),
    ...legend(series),
    `</svg>`,
  ].join("\n");
}

/** From numbers to places, with round numbers to write beside it. */
class Axis {
  readonly ticks: readonly number[];
  readonly #low: number;
  readonly #high: number;

  constructor(values: readonly number[], readonly from: number, readonly to: number) {
    const least = Math.min(...values), most = Math.max(...values);
    const spread = most - least || Math.abs(most) || 1;
    const [low, high] = [least - 0.06 * spread, most + 0.06 * spread];
    const step = roundStep((high - low) / 6);
    const first = Math.ceil(low / step), last = Math.floor(high / step);
    this.ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
    [this.#low, this.#high] = [low, high];
  }

  place(value: number): number {
    const share = (value - this.#low) / (this.#high - this.#low);
    return this.from + share * (this.to - this.from);
  }
}

/** The least of 1, 2, 5, 10, 20, … that is no less. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least)!;
}

function drawn({ points, line: joined }: Series, color: string, across: Axis, up: Axis): string {
  const sorted = joined ? points.toSorted(([a], [b]) => a - b) : points;
  const places = sorted.map(([x, y]) => [across.place(x).toFixed(1), up.place(y).toFixed(1)]);
  const dots = places.map(([x, y]) =>
    `<circle cx="${x}" cy="${y}" r="4" fill="${color}" fill-opacity="0.85"/>`
  );
  if (!joined || places.length < 2) return dots.join("");
  const path = places.map((place) => place.join(",")).join(" ");
  return `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="2"/>${
    dots.join("")
  }`;
}

function legend(series: readonly Series[]): string[] {
  if (series.length < 2) return [];
  const left = margin.left + 14;
  return series.map(({ name }, i) => {
    const top = margin.top + 16 + 18 * i;
    return `<circle cx="${left}" cy="${top - 4}" r="5" fill="${palette[i % palette.length]}"/>` +
      text(left + 12, top, name, "");
  });
}

function line(x1: number, y1: number, x2: number, y2: number, color: string): string {
  const [a, b, c, d] = [x1, y1, x2, y2].map((value) => value.toFixed(1));
  return `<line x1="${a}" y1="${b}" x2="${c}" y2="${d}" stroke="${color}"/>`;
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escapeXml(content)}</text>`;
}

/** Text that means itself in XML and HTML. */
export function escapeXml(content: string): string {
  const named: Readonly<Record<string, string>> = { "&": "amp", "<": "lt", ">": "gt", '"': "quot" };
  return content.replace(/[&<>"]/g, (character) => `&${named[character]};`);
}

/** Few digits; what is left of 0.30000000000000004 is 0.3. */
function written(value: number): string {
  return Number(value.toPrecision(6)).toLocaleString("en", { maximumSignificantDigits: 6 });
}
