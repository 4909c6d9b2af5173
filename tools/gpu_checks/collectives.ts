/**
 * Whether NCCL starts, whose identity of a group is passed by value.
 *
 * @module
 */
import { CudaDriver } from "../../ffi/cuda/mod.ts";
import { ncclSymbols } from "../../ffi/cuda/nccl_symbols.ts";
import { outInteger, outPointer } from "../../ffi/cuda/status.ts";
import { openLibrary } from "../../ffi/mod.ts";
import { device, scope, Tensor } from "../../tensor/mod.ts";
import { answer, type Check, notHere } from "./check.ts";
import { libraryPath } from "./libraries.ts";

const f32 = 7, sum = 0;

/** A group of one, and a sum in it. */
export const collectives: Check = {
  question:
    "Does NCCL start with a group of one, and does a sum over it leave numbers as they are?",
  required: false,
  run: () => {
    const path = libraryPath("nccl");
    if (path === null) return notHere("NCCL is not installed");
    const c = openLibrary(path, ncclSymbols).symbols, driver = new CudaDriver();
    const check = (status: number, call: string): void => {
      if (status === 0) return;
      const text = Deno.UnsafePointerView.getCString(c.ncclGetErrorString(status)!);
      throw new Error(`${call}: ${text} (${status})`);
    };
    return scope(() => {
      const x = Tensor.from([1, 2, 3, 4], undefined, { device: "cuda" });
      driver.useDevice(device("cuda").description.device.ordinal);
      const stream = driver.createStream(), id = new Uint8Array(128);
      x.sum().item(); // it is there
      check(c.ncclGetUniqueId(id), "ncclGetUniqueId");
      const group = outPointer((out) =>
        check(c.ncclCommInitRank(out, 1, id, 0), "ncclCommInitRank")
      );
      const at = Deno.UnsafePointer.create(BigInt(x.storage.address));
      check(c.ncclAllReduce(at, at, 4n, f32, sum, group, stream), "ncclAllReduce");
      driver.check(driver.synchronize(stream), "cuStreamSynchronize");
      check(c.ncclCommDestroy(group), "ncclCommDestroy");
      const version = outInteger((out) => check(c.ncclGetVersion(out), "ncclGetVersion"));
      const values = [...x.data()].join(", ");
      return answer(values === "1, 2, 3, 4", `a sum of one gives ${values}`, { version });
    });
  },
};
