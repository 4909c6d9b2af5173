/**
 * Loads the kernels before the first test of every file: a library loaded inside one would count as its leak.
 *
 * @module
 */
import { device } from "../tensor/mod.ts";

try {
  device().warm();
} catch {
  // The tests that need them say what is wrong.
}
