import { NativeError } from "../status.ts";

/** Text of a C string, or nothing for a null pointer. */
export function textAt(pointer: Deno.PointerValue): string {
  return pointer === null ? "" : Deno.UnsafePointerView.getCString(pointer);
}

/** A C string. Keep it alive as long as C reads it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text + "\0");
}

/** What a C function with an out-parameter gave back, as a number. */
export function outInteger(call: (out: BigInt64Array<ArrayBuffer>) => void): number {
  const out = new BigInt64Array(1);
  call(out);
  return Number(out[0]);
}

/** What a C function with an out-parameter gave back, as a pointer. Throws when it is null. */
export function outPointer(call: (out: BigUint64Array<ArrayBuffer>) => void): Deno.PointerObject {
  const out = new BigUint64Array(1);
  call(out);
  return Deno.UnsafePointer.create(out[0])!;
}

/** What to do about statuses of the driver. */
export const driverHints: Readonly<Record<number, string>> = {
  2: "The device has no memory left. Use smaller batches, or end other programs on it.",
  3: "The driver is shutting down.",
  100: "There is no NVIDIA device, or CUDA_VISIBLE_DEVICES hides it.",
  101: "There is no device of that number; see nvidia-smi.",
  200: "The compiled kernel is damaged. Delete the cache folder.",
  209: "The kernel was compiled for another kind of device. Delete the cache folder.",
  218: "The kernel's code was not accepted. Delete the cache folder.",
  222: "The runtime compiler is newer than the driver. Update the driver.",
  500: "The kernel is not in the compiled module. Delete the cache folder.",
  700: "A kernel touched memory that is not its own; this process cannot use the device any more.",
  701: "The kernel asks for more registers or shared memory than the device has.",
  702: "A kernel ran longer than the system allows on a device that also drives a screen.",
  716: "A kernel used an address that is not aligned; this process cannot use the device any more.",
  719: "A kernel failed; this process cannot use the device any more.",
  800: "The device is used by another program exclusively.",
  801: "The driver or the device does not have this function. Update the driver.",
  802: "The device is not ready; on machines with NVSwitch the fabric manager must run.",
  803: "Driver and libcuda.so.1 differ in version. Restart the machine after a driver update.",
  804:
    "libcuda.so.1 is of a compatibility package that this device does not take. Remove it from the path.",
  900: "The stream is being captured into a graph, where this call is not allowed.",
  901: "A graph's capture was spoilt by an earlier call.",
};

/** What to do about statuses of NVRTC. */
export const nvrtcHints: Readonly<Record<number, string>> = {
  5: "The compiler does not know the device or an option. Install a newer nvidia-cuda-nvrtc.",
  7: "Its libnvrtc-builtins was not found. Reinstall nvidia-cuda-nvrtc.",
};

/** What to do about statuses of cuBLAS and cuBLASLt. */
export const cublasHints: Readonly<Record<number, string>> = {
  1: "It could not start. Another program may have taken the device's memory.",
  3: "The device has no memory left. Use smaller batches.",
  7: "Please report this with the shapes.",
  8: "The device is too old for this product.",
  13: "The kernel failed; this process cannot use the device any more.",
  15: "The device does not have this product.",
};

/** What to do about statuses of cuDNN. */
export const cudnnHints: Readonly<Record<number, string>> = {
  1001: "It could not start. Another program may have taken the device's memory.",
  1002:
    "Its parts are of different versions. Keep one cuDNN, and remove others from LD_LIBRARY_PATH.",
  1008: "A part of it could not be loaded. Reinstall nvidia-cudnn-cu13.",
  5000: "A kernel failed; this process cannot use the device any more.",
};

/** What to do about statuses of NCCL. */
export const ncclHints: Readonly<Record<number, string>> = {
  1: "A call of CUDA failed; NCCL_DEBUG=WARN says which.",
  2: "A call of the system failed; NCCL_DEBUG=WARN says which.",
  3: "Its own state is wrong; NCCL_DEBUG=WARN says more.",
  4: "Please report this with the sizes.",
  5: "Ranks must make the same calls in the same order, each on a device of its own.",
  6: "Another rank is gone. Look at its messages, and start all ranks again.",
  8: "Another rank did not come. Start as many as the group has.",
};

/** Makes the error for a status: its name and text as the library gives them, the call, and what to do. */
export function statusError(
  call: string,
  status: number,
  name: string,
  text: string,
  hints: Readonly<Record<number, string>>,
): NativeError {
  const described = [name, text].filter((part) => part !== "").join(": ") || "unknown status";
  return new NativeError(call, status, described, hints[status] ?? "");
}
