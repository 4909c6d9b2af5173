/**
 * Curves in one line of text.
 *
 * @module
 */

const bars = "▁▂▃▄▅▆▇█";

/** The course of some figures in `width` characters, from their lowest to their highest; of more figures, their means. */
export function sparkline(values: readonly number[], width: number): string {
  const finite = values.filter(Number.isFinite);
  const columns = Math.min(width, finite.length);
  const means = Array.from({ length: columns }, (_, i) => {
    const from = Math.floor(i * finite.length / columns);
    const part = finite.slice(from, Math.floor((i + 1) * finite.length / columns));
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
  const low = Math.min(...means), high = Math.max(...means);
  return means.map((mean) => {
    const height = high === low ? 0 : (mean - low) / (high - low);
    return bars[Math.round(height * (bars.length - 1))];
  }).join("");
}
