/**
 * A training stage on the terminal: one line that changes on a screen, plain lines in a file.
 *
 * @module
 */
import type { StageWatcher } from "../train/runs/stage_recorder.ts";
import { formatBytes } from "./progress.ts";
import { sparkline } from "./sparkline.ts";
import { dim, printable, type Terminal } from "./terminal.ts";

/** Ms between two changes of the line on a screen. */
const refreshMs = 100;
/** Plain lines are written at so many equal parts of a run. */
const plainLines = 20;
const clearLine = "\r\x1b[2K";
/** Weight of the newest step in the mean that the time left is told from. */
const newest = 0.05;
const curveColumns = 12;

/** Shows how a stage goes. Dispose of it when the stage is over. */
export class TrainingView implements StageWatcher, Disposable {
  readonly #terminal: Terminal;
  readonly #name: string;
  readonly #steps: number;
  readonly #losses: number[] = [];
  #secondsPerStep: number | null = null;
  #lastAt: number | null = null;
  #shownMs = -Infinity;
  #line = "";

  /** `name` is what the stage is called; it has so many steps. */
  constructor(terminal: Terminal, name: string, steps: number) {
    [this.#terminal, this.#name, this.#steps] = [terminal, name, steps];
  }

  /** Figures of a step, or of an evaluation, whose names begin with `eval/`. */
  metrics(step: number, values: Readonly<Record<string, number>>): void {
    if (values.loss === undefined) return this.#evaluation(step, values);
    this.#losses.push(values.loss);
    this.#pace();
    this.#line = this.#describe(step, values);
    if (this.#terminal.isInteractive.errors) return this.#redraw(step === this.#steps);
    const part = (at: number): number => Math.floor(plainLines * at / this.#steps);
    if (step === 1 || part(step) > part(step - 1)) this.#terminal.report(this.#line + "\n");
  }

  /** A text that the model wrote. */
  sample(step: number, text: string): void {
    const { columns } = this.#terminal;
    const shown = printable(text, this.#terminal).replaceAll(/\s+/g, " ").trim();
    const line = `${this.#name}  sample after step ${step}: ${shown}`;
    this.#print(
      dim(line.length < 3 * columns ? line : line.slice(0, 3 * columns - 1) + "…", this.#terminal),
    );
  }

  /** Something that a person should know. */
  warn(text: string): void {
    this.#print(text);
  }

  /** Goes on after a step. */
  resumed(step: number): void {
    this.#print(`${this.#name}  goes on after step ${step}`);
  }

  #evaluation(step: number, values: Readonly<Record<string, number>>): void {
    const figures = Object.entries(values)
      .map(([name, value]) => `${name.replace(/^eval\//, "")} ${figure(value)}`);
    this.#print(`${this.#name}  evaluated after step ${step}: ${figures.join("  ")}`);
  }

  /** Time passes between steps too: evaluations and checkpoints count. */
  #pace(): void {
    const now = performance.now();
    if (this.#lastAt !== null) {
      const seconds = (now - this.#lastAt) / 1000, before = this.#secondsPerStep ?? seconds;
      this.#secondsPerStep = before + newest * (seconds - before);
    }
    this.#lastAt = now;
  }

  #describe(step: number, values: Readonly<Record<string, number>>): string {
    const { loss, grad_norm, mfu, tokens_per_second: speed } = values;
    const left = this.#secondsPerStep === null ? null : this.#secondsPerStep * (this.#steps - step);
    const curve = this.#terminal.isInteractive.errors
      ? ` ${sparkline(this.#losses, curveColumns)}`
      : "";
    return [
      `${this.#name}  ${step}/${this.#steps}`,
      `loss ${figure(loss)}${curve}`,
      speed === undefined ? "" : `${count(speed)} tok/s`,
      mfu === undefined ? "" : `MFU ${(100 * mfu).toFixed(mfu < 0.1 ? 1 : 0)} %`,
      grad_norm === undefined ? "" : `grad ${figure(grad_norm)}`,
      left === null ? "" : `${duration(left)} left`,
      values.memory_bytes === undefined ? "" : formatBytes(values.memory_bytes),
    ].filter(Boolean).join("  ");
  }

  #redraw(isLast: boolean): void {
    const now = performance.now();
    if (now - this.#shownMs < refreshMs && !isLast) return;
    this.#shownMs = now;
    this.#terminal.report(clearLine + this.#line.slice(0, this.#terminal.columns - 1));
  }

  /** A line of its own, above the one that changes. */
  #print(line: string): void {
    const isScreen = this.#terminal.isInteractive.errors;
    this.#terminal.report((isScreen ? clearLine : "") + line + "\n");
    if (isScreen) this.#terminal.report(this.#line.slice(0, this.#terminal.columns - 1));
  }

  /** Leaves the last line where it is. */
  [Symbol.dispose](): void {
    if (this.#terminal.isInteractive.errors && this.#line !== "") this.#terminal.report("\n");
  }
}

/** Four significant digits. */
export function figure(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : String(value);
}

/** 34120 as "34.1k". */
export function count(value: number): string {
  const [size, unit] = ([[1e9, "B"], [1e6, "M"], [1e3, "k"]] as const)
    .find(([least]) => value >= least) ?? [1, ""];
  return `${Number((value / size).toPrecision(3))}${unit}`;
}

/** 3723 as "1:02:03". */
export function duration(seconds: number): string {
  const whole = Math.ceil(seconds), two = (value: number): string => String(value).padStart(2, "0");
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  return (hours > 0 ? `${hours}:${two(minutes)}` : `${minutes}`) + `:${two(whole % 60)}`;
}
