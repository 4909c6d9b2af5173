/**
 * How far a long task is: one line that changes on a screen, a few plain lines in a file.
 *
 * @module
 */
import type { Terminal } from "./terminal.ts";

/** Ms between two changes of the line on a screen. */
const refreshMs = 100;
/** Plain lines are written at so many equal steps. */
const plainSteps = 4;
const clearLine = "\r\x1b[2K";

/** Shows how many bytes of a task are done. Dispose of it when the task is over, one way or another. */
export class Progress implements Disposable {
  readonly #terminal: Terminal;
  readonly #what: string;
  readonly #start = performance.now();
  #lastMs = -Infinity;
  #step = 0;
  #shown = false;

  /** `what` is being done, as in `loading model`. Nothing is shown yet. */
  constructor(terminal: Terminal, what: string) {
    this.#terminal = terminal;
    this.#what = what;
  }

  /** `done` bytes of `total`, which is null when nobody knows it; `part` names what is being worked on. */
  update(done: number, total: number | null, part: string = ""): void {
    const { isInteractive, columns } = this.#terminal;
    const seconds = (performance.now() - this.#start) / 1000;
    const share = total === null || total === 0 ? null : done / total;
    const words = [
      this.#what,
      share === null ? "" : `${Math.floor(100 * share)} %`,
      total === null ? formatBytes(done) : `${formatBytes(done)} of ${formatBytes(total)}`,
      seconds > 1 ? `${formatBytes(done / seconds)}/s` : "",
      part,
    ];
    const line = words.filter(Boolean).join("  ");
    if (isInteractive.errors) return this.#redraw(line.slice(0, columns - 1));
    const step = share === null ? 0 : Math.floor(plainSteps * share);
    if (step > this.#step) this.#terminal.report(line + "\n");
    this.#step = Math.max(step, this.#step);
  }

  #redraw(line: string): void {
    const now = performance.now();
    if (now - this.#lastMs < refreshMs) return;
    this.#lastMs = now;
    this.#shown = true;
    this.#terminal.report(clearLine + line);
  }

  /** Takes the line away. */
  [Symbol.dispose](): void {
    if (this.#shown) this.#terminal.report(clearLine);
  }
}

/** A number of bytes for people, by powers of 1000: `1.06 MB`. */
export function formatBytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(count || 1) / 3)));
  const value = count / 1000 ** power;
  const digits = power === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[power]}`;
}
