/**
 * How long things take.
 *
 * @module
 */

/** Seconds of each of `runs` calls, sorted, after as many warm-up calls as asked for. */
function times(work: () => void, runs: number, warmUps: number): number[] {
  for (let i = 0; i < warmUps; i++) work();
  return Array.from({ length: runs }, () => {
    const start = performance.now();
    work();
    return (performance.now() - start) / 1000;
  }).sort((a, b) => a - b);
}

/** Seconds of the fastest of `runs` calls: what the code can do when nothing disturbs it, as ceilings are measured. */
export function best(work: () => void, runs = 7, warmUps = 1): number {
  return times(work, runs, warmUps)[0];
}

/** Seconds of the middle one of `runs` calls. */
export function median(work: () => void, runs = 9, warmUps = 2): number {
  return times(work, runs, warmUps)[Math.floor(runs / 2)];
}
