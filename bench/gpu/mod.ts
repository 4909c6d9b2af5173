/**
 * `deno task bench gpu`: everything that a GPU's time goes to, after what it can do at most.
 *
 * @module
 */
import { LoadError, NativeError } from "../../ffi/mod.ts";
import { device, DeviceError } from "../../tensor/mod.ts";
import { torchGpuFigures } from "../peers/peer.ts";
import type { Report } from "../report.ts";
import { gpuCeilings } from "./ceilings.ts";
import { attention, products, training } from "./compute.ts";
import { decoding } from "./decode.ts";
import { memoryBound } from "./memory_bound.ts";
import { fullSizes, type GpuSizes, tinySizes } from "./sizes.ts";

/** What to measure. */
export interface GpuRequest {
  /** Whether sizes are those for the simulated GPU. */
  readonly tiny: boolean;
  /** Whether PyTorch works beside it, where it is installed with CUDA. */
  readonly peer: boolean;
}

/** Why there is no GPU to measure, and what to do; empty when there is one. */
export function missingGpu(): string {
  try {
    void device("cuda").description;
    return "";
  } catch (error) {
    const known = error instanceof LoadError || error instanceof NativeError ||
      error instanceof DeviceError;
    if (!known) throw error;
    return error.message;
  }
}

/** Measures everything. To be called before any tensor is made, for they are made on the GPU from then on. */
export function gpu({ tiny, peer }: GpuRequest): Report {
  Deno.env.set("DENOTRON_DEVICE", "cuda");
  const sizes: GpuSizes = tiny ? tinySizes : fullSizes;
  const ceilings = gpuCeilings(sizes);
  const parts = { products, attention, memoryBound, training, decoding };
  device("cuda").trim();
  const figures = peer ? torchGpuFigures(sizes) : {};
  const rows = Object.entries(parts).flatMap(([name, part]) => {
    console.error(`gpu: ${name} …`); // all of it takes minutes
    const made = part(sizes, ceilings, figures);
    device("cuda").trim(); // the next one's tensors are others
    return made;
  });
  return { bench: "gpu", ceilings, rows };
}
