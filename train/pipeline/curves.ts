/**
 * Small pictures of how the stages went.
 *
 * @module
 */
import { escapeXml } from "../puzzle/plot.ts";
import type { StepLine } from "../runs/step_log.ts";

/** A curve: what every step had, and what was measured now and then on held-out rows. */
export interface Curve {
  readonly title: string;
  /** What is drawn, such as "loss". */
  readonly quantity: string;
  readonly steps: readonly Point[];
  readonly heldOut: readonly Point[];
}

type Point = readonly [step: number, value: number];

const size = { width: 300, height: 150 };
const margin = { left: 44, right: 10, top: 28, bottom: 22 };
/** A line of more points says no more. */
const mostPoints = 120;

/** The curve of a quantity in the figures of a stage. */
export function curveOf(title: string, quantity: string, lines: readonly StepLine[]): Curve {
  const column = (name: string): Point[] =>
    lines.flatMap((line): Point[] => {
      const value = line[name];
      return typeof value === "number" ? [[line.step, value]] : [];
    });
  return {
    ...{ title, quantity },
    steps: thinned(column(quantity)),
    heldOut: column(`eval/${quantity}`),
  };
}

/** Means of neighbours, as many as fit. */
function thinned(points: readonly Point[]): Point[] {
  const each = Math.max(1, Math.ceil(points.length / mostPoints));
  return Array.from({ length: Math.ceil(points.length / each) }, (_, i): Point => {
    const part = points.slice(i * each, (i + 1) * each);
    return [part.at(-1)![0], part.reduce((sum, [, value]) => sum + value, 0) / part.length];
  });
}

/** A curve as SVG, in the colours of the page around it. */
export function curveSvg({ title, quantity, steps, heldOut }: Curve): string {
  const points = [...steps, ...heldOut], values = points.map(([, value]) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const last = Math.max(...points.map(([step]) => step));
  const right = size.width - margin.right, bottom = size.height - margin.bottom;
  const x = (step: number): number => margin.left + (right - margin.left) * step / last;
  // What falls by a large factor at first would hide all that follows.
  const scale = low > 0 && high > 3 * low ? Math.log : Number;
  const share = (value: number): number =>
    high === low ? 0.5 : (scale(value) - scale(low)) / (scale(high) - scale(low));
  const y = (value: number): number => bottom - (bottom - margin.top) * share(value);
  const place = ([step, value]: Point): string => `${x(step).toFixed(1)},${y(value).toFixed(1)}`;
  const text = (at: number, up: number, content: string, anchor: string): string =>
    `<text x="${at}" y="${up}" text-anchor="${anchor}" class="faint">${escapeXml(content)}</text>`;
  return [
    `<svg viewBox="0 0 ${size.width} ${size.height}" role="img" aria-label="${
      escapeXml(`${title}: ${quantity}`)
    }">`,
    `<text x="${margin.left}" y="16" class="strong">${escapeXml(title)}</text>`,
    text(right, 16, scale === Math.log ? `${quantity}, logarithmic` : quantity, "end"),
    `<path d="M${margin.left} ${margin.top}V${bottom}H${right}" class="axis"/>`,
    text(margin.left - 6, margin.top + 4, short(high), "end"),
    text(margin.left - 6, bottom, short(low), "end"),
    text(right, bottom + 15, `step ${last}`, "end"),
    `<polyline points="${steps.map(place).join(" ")}" class="line"/>`,
    ...heldOut.map(([step, value]) =>
      `<circle cx="${x(step).toFixed(1)}" cy="${y(value).toFixed(1)}" r="3" class="dot"/>`
    ),
    `</svg>`,
  ].join("");
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
