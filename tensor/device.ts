/**
 * Devices by name. A device opens on first use; importing opens nothing.
 *
 * @module
 */
import type { Backend } from "./backend/backend.ts";
import { CpuBackend } from "./backend/cpu.ts";
import { DeviceError } from "./errors.ts";

/** Name of a device. */
export type DeviceName = "cpu";

let cpu: CpuBackend | null = null;

/**
 * The device called `name`; the same object every time. Throws DeviceError when there is none.
 *
 * @example
 * ```ts
 * import { device } from "@denotron/denotron/tensor";
 * console.assert(device("cpu").memory.inUse >= 0);
 * ```
 */
export function device(name: DeviceName = "cpu"): CpuBackend & Backend {
  if (name === "cpu") return cpu ??= new CpuBackend();
  throw new DeviceError(`device: there is no device "${name}". Use "cpu".`);
}
