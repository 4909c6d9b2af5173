/**
 * Devices by name. A device opens on first use; importing opens nothing.
 *
 * @module
 */
import { CpuBackend } from "./backend/cpu.ts";
import { CudaBackend } from "./backend/cuda.ts";
import { DeviceError } from "./errors.ts";

/** Name of a device. */
export type DeviceName = "cpu" | "cuda";

let cpu: CpuBackend | null = null;
let cuda: CudaBackend | null = null;
let chosen: DeviceName | null = null;

/**
 * The device called `name`; the same object every time. Throws DeviceError when there is none, and LoadError or
 * NativeError when a GPU cannot be used: they say what is missing.
 *
 * @example
 * ```ts
 * import { device } from "@denotron/denotron/tensor";
 * console.assert(device("cpu").memory.inUse >= 0);
 * ```
 */
export function device(name?: "cpu"): CpuBackend;
/** The first GPU. */
export function device(name: "cuda"): CudaBackend;
/** Either. */
export function device(name: DeviceName): CpuBackend | CudaBackend;
export function device(name: DeviceName = "cpu"): CpuBackend | CudaBackend {
  if (name === "cpu") return cpu ??= new CpuBackend();
  if (name === "cuda") return cuda ??= new CudaBackend();
  throw new DeviceError(`device: there is no device "${name}". Use "cpu" or "cuda".`);
}

/**
 * Where tensors are made when nothing else is said: `DENOTRON_DEVICE`, or the CPU.
 * Throws DeviceError when it names no device.
 */
export function defaultDevice(): DeviceName {
  if (chosen) return chosen;
  const name = Deno.env.get("DENOTRON_DEVICE") || "cpu";
  if (name === "cpu" || name === "cuda") return chosen = name;
  throw new DeviceError(`device: DENOTRON_DEVICE is "${name}". Set it to "cpu" or "cuda".`);
}
