/**
 * A picture of what each block of a model has.
 *
 * @module
 */
import type { AttentionSpec, DecoderSpec, FfnSpec } from "../../nn/mod.ts";
import { escapeXml, palette } from "./plot.ts";

/** A model to draw. */
export interface PicturedModel {
  /** What stands below it. */
  readonly name: string;
  /** What is drawn. */
  readonly spec: DecoderSpec;
}

const [attentionColor, ffnColor, linearColor] = palette;
const row = 22, half = 132, gap = 28, left = 44, top = 52;

/**
 * Models side by side, the first block at the bottom: for each, a bar for attention, as wide as its KV heads, and one for
 * the feed-forward part, as wide as it is, both against the widest that any of the models has. What is not there is an
 * outline.
 */
export function architectureSvg(title: string, models: readonly PicturedModel[]): string {
  const blocks = Math.max(...models.map(({ spec }) => spec.blocks.length));
  const width = left + models.length * (2 * half + gap), bottom = top + blocks * row;
  const largest = {
    kv: Math.max(1, ...models.flatMap(({ spec }) => spec.blocks.map((b) => kvHeads(b.attention)))),
    ffn: Math.max(1, ...models.flatMap(({ spec }) => spec.blocks.map((b) => hidden(b.ffn)))),
  };
  const drawn = models.map(({ name, spec }, m) => {
    const x = left + m * (2 * half + gap);
    const rows = spec.blocks.map(({ attention, ffn }, i) => {
      const y = bottom - (i + 1) * row;
      return bar(x, y, attention, kvHeads(attention) / largest.kv, attentionColor, attentionWords) +
        bar(x + half, y, ffn, hidden(ffn) / largest.ffn, ffnColor, ffnWords);
    });
    return rows.join("") +
      label(x + half, bottom + 20, name, 'text-anchor="middle" font-weight="600"');
  });
  const numbers = Array.from(
    { length: blocks },
    (_, i) => label(left - 12, bottom - i * row - 7, `${i}`, 'text-anchor="end" fill="#777"'),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${
      bottom + 36
    }" width="${width}" height="${
      bottom + 36
    }" font-family="system-ui, sans-serif" font-size="11" fill="#222">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    label(left, 20, title, 'font-size="15" font-weight="600"'),
    label(left, 42, "attention", `fill="${attentionColor}"`),
    label(left + half, 42, "feed-forward", `fill="${ffnColor}"`),
    ...numbers,
    ...drawn,
    `</svg>`,
  ].join("\n");
}

function bar<P extends AttentionSpec | FfnSpec>(
  x: number,
  y: number,
  part: P | null,
  share: number,
  color: string,
  words: (part: P) => string,
): string {
  const [height, room] = [row - 4, half - 8];
  const frame = `x="${x}" y="${y}" height="${height}" rx="3"`;
  if (part === null) {
    return `<rect ${frame} width="${room}" fill="none" stroke="#ccc" stroke-dasharray="3 3"/>`;
  }
  const isLinear = part.kind === "linear";
  const width = isLinear ? room / 4 : Math.max(4, share * room);
  return `<rect ${frame} width="${room}" fill="#f3f3f3"/>` +
    `<rect ${frame} width="${width.toFixed(1)}" fill="${
      isLinear ? linearColor : color
    }" fill-opacity="0.45"/>` +
    label(x + 6, y + 13, isLinear ? "linear" : words(part), "");
}

function kvHeads(part: AttentionSpec | null): number {
  return part?.kind === "gqa" ? part.kvHeads : 0;
}

function hidden(part: FfnSpec | null): number {
  return part === null || part.kind === "linear" ? 0 : part.hidden;
}

function attentionWords(part: AttentionSpec): string {
  return part.kind === "gqa" ? `${part.heads} heads, ${part.kvHeads} KV` : "linear";
}

function ffnWords(part: FfnSpec): string {
  return part.kind === "linear" ? "linear" : `${part.kind} ${part.hidden.toLocaleString("en")}`;
}

function label(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${x}" y="${y}" ${attributes}>${escapeXml(content)}</text>`;
}
