/**
 * Whether the machine was ours while something was measured.
 *
 * @module
 */

/** Ticks of all processors since the machine started. */
interface Ticks {
  readonly stolen: number;
  readonly all: number;
}

/** What a hypervisor gave to other machines since this was made; Linux counts it. */
export class StolenTime {
  readonly #begin = ticks();

  /** Its share of the processors' time; undefined where nobody counts it. */
  get share(): number | undefined {
    const end = ticks();
    if (this.#begin === null || end === null) return undefined;
    const all = end.all - this.#begin.all;
    return all === 0 ? 0 : (end.stolen - this.#begin.stolen) / all;
  }
}

/** See proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal. Guests' time is part of user's. */
function ticks(): Ticks | null {
  let text: string;
  try {
    text = Deno.readTextFileSync("/proc/stat");
  } catch {
    return null;
  }
  const counts = text.split("\n", 1)[0].trim().split(/\s+/).slice(1, 9).map(Number);
  return { stolen: counts[7] ?? 0, all: counts.reduce((a, b) => a + b, 0) };
}
