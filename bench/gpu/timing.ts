/**
 * How long work takes on the GPU, by its own clock.
 *
 * @module
 */
import { device } from "../../tensor/mod.ts";

/** Measures seconds of calls: the fastest of `runs`, after one that compiles kernels and lets cuBLAS choose. */
export function gpuBest(runs: number): (work: () => void) => number {
  return (work) => {
    work();
    return Math.min(...Array.from({ length: runs }, () => device("cuda").seconds(work)));
  };
}

/** Measures seconds of calls: the middle one of `runs`, after two. */
export function gpuMedian(runs: number): (work: () => void) => number {
  return (work) => {
    for (let i = 0; i < 2; i++) work();
    const seconds = Array.from({ length: runs }, () => device("cuda").seconds(work));
    return seconds.sort((a, b) => a - b)[Math.floor(runs / 2)];
  };
}
