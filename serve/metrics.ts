/**
 * Figures about the server in the text format of Prometheus.
 *
 * @module
 */

/** Names of labels and their values. The values must come from a short list: each combination is kept for ever. */
export type Labels = Readonly<Record<string, string>>;

/** Something that a scrape writes. */
interface Metric {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  lines(name: string): Iterable<string>;
}

/** A number that only grows. */
export class Counter implements Metric {
  readonly type = "counter";
  readonly #values = new Map<string, number>();

  /** `help`: a line for people. */
  constructor(readonly help: string) {}

  /** Adds to the number of these labels. */
  add(amount: number = 1, labels: Labels = {}): void {
    const key = labelText(labels);
    this.#values.set(key, (this.#values.get(key) ?? 0) + amount);
  }

  /** The number of these labels. */
  value(labels: Labels = {}): number {
    return this.#values.get(labelText(labels)) ?? 0;
  }

  *lines(name: string): Iterable<string> {
    if (this.#values.size === 0) yield `${name} 0`;
    for (const [labels, value] of this.#values) yield `${name}${labels} ${value}`;
  }
}

/** A number that is read when someone looks. */
export class Gauge implements Metric {
  readonly type: "gauge" | "counter";

  /** `type` is "counter" for a number that only grows and is kept elsewhere. */
  constructor(
    readonly help: string,
    readonly read: () => number,
    type: "gauge" | "counter" = "gauge",
  ) {
    this.type = type;
  }

  *lines(name: string): Iterable<string> {
    yield `${name} ${this.read()}`;
  }
}

/** How often values fell below each of some bounds. */
export class Histogram implements Metric {
  readonly type = "histogram";
  readonly #counts: number[];
  #sum = 0;

  /** `bounds` grow; everything above the last one is counted as well. */
  constructor(readonly help: string, readonly bounds: readonly number[]) {
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  /** Counts a value. */
  observe(value: number): void {
    const at = this.bounds.findIndex((bound) => value <= bound);
    this.#counts[at < 0 ? this.bounds.length : at]++;
    this.#sum += value;
  }

  *lines(name: string): Iterable<string> {
    let count = 0;
    for (const [i, bound] of [...this.bounds, "+Inf"].entries()) {
      count += this.#counts[i];
      yield `${name}_bucket{le="${bound}"} ${count}`;
    }
    yield `${name}_sum ${this.#sum}`;
    yield `${name}_count ${count}`;
  }
}

/** All figures, in the format that Prometheus reads (text exposition format 0.0.4). */
export function exposition(metrics: Readonly<Record<string, Metric>>): string {
  const lines: string[] = [];
  for (const [name, metric] of Object.entries(metrics)) {
    lines.push(`# HELP ${name} ${metric.help}`, `# TYPE ${name} ${metric.type}`);
    lines.push(...metric.lines(name));
  }
  return lines.join("\n") + "\n";
}

function labelText(labels: Labels): string {
  const entries = Object.entries(labels);
  if (entries.length === 0) return "";
  return `{${entries.map(([name, value]) => `${name}="${escape(value)}"`).join(",")}}`;
}

function escape(value: string): string {
  return value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
}
